"""MMHal-Bench: ratings out of replies, figures by arithmetic, and an evaluation that is killed and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from judge_server import Say, judge_server

from jax_mdpo.core.errors import ConfigError, UserError
from jax_mdpo.evaluation.answers.faults import AnswersError
from jax_mdpo.evaluation.benchmarks.judge import LoadedJudge, Reply
from jax_mdpo.evaluation.benchmarks.mmhal import TEMPLATE, TYPES, MmHal, rating_in
from jax_mdpo.evaluation.benchmarks.protocol import ItemError
from jax_mdpo.recipe.evaluating import evaluate


@dataclass(frozen=True)
class Scripted:
    """A judge by rule: what it is asked → its reply; None is a failure."""

    reply: object

    def load(self) -> LoadedJudge:
        def ask(messages, parameters, read):
            (message,) = messages
            assert message["role"] == "user" and parameters == {"temperature": 0.0}
            text = self.reply(message["content"])
            if text is None:
                raise ItemError("the judge is silent")
            return read(text), Reply(text, "scripted-1")

        return LoadedJudge(ask, {"judge": "scripted"}, at_once=2)


def template(answers=lambda place: f"model {place}") -> list[dict]:
    """The 96 questions, in the official format; 'human 7.' is the person's answer to number 7."""
    return [
        {
            "question_type": TYPES[place % 8],
            "question_topic": "outdoor",
            "image_id": f"image{place % 80}",
            "image_src": f"https://example.org/photos/{place}_o.jpg",
            "image_content": ["Tree", "Dog"],
            "question": f"What about {place}?",
            "gt_answer": f"human {place}.",
            "model_answer": answers(place),
        }
        for place in range(96)
    ]


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """The official template, and an answer file."""
    (tmp_path / TEMPLATE).write_text(json.dumps(template(lambda place: "")))
    (tmp_path / "answers.json").write_text(json.dumps(template()))
    return tmp_path / TEMPLATE, tmp_path / "answers.json"


def place_in(content: str) -> int:
    return int(content.split("human ")[1].split(".")[0])


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ("Fine. Rating: 6", 6),
        ("RATING: 0, not informative", 0),
        ("- Rating: 3, no hallucination\nRating: 3", 3),  # one rating, said twice
        ("rating: 4 or Rating: 5", None),
        ("Rating: 7", None),
        ("Rating: 12", 1),  # a substring is all that counts
        ("Rating:5", None),
        ("Rating 5", None),
        ("", None),
    ],
)
def test_a_rating_is_one_hit(reply, rating):
    assert rating_in(reply) == rating


def test_figures_of_all_and_of_each_type(files, tmp_path):
    data, answers = files
    # question i rates i mod 7, but number 90 gets two ratings, which count as 0
    judge = Scripted(lambda content: "rating: 1 rating: 2" if place_in(content) == 90 else f"Rating: {place_in(content) % 7}")
    found = evaluate(MmHal(judge=judge), answers=answers, data=data, out=tmp_path / "out")
    ratings = [0 if place == 90 else place % 7 for place in range(96)]
    assert found["unrounded"]["MMHal-Bench"] == {"Score": sum(ratings) / 96, "HalRate": sum(rating < 3 for rating in ratings) / 96}
    counting = ratings[3::8]
    assert found["unrounded"]["counting"] == {"Score": sum(counting) / 12, "HalRate": sum(rating < 3 for rating in counting) / 12}
    assert list(found["figures"]) == ["MMHal-Bench", *TYPES]
    assert found["counts"] == {"replies without a clear rating, taken as 0": 1, "replies of scripted-1": 96}
    assert found["tools"]["judge"] == "scripted"
    assert any("not the official one" in remark for remark in found["remarks"])


def test_the_judge_is_told_contents_question_and_both_answers(files, tmp_path):
    data, answers = files
    (tmp_path / "official.txt").write_text("{}|{}|{}|{}")
    told = []
    benchmark = MmHal(judge=Scripted(lambda content: told.append(content) or "Rating: 5"), prompt=tmp_path / "official.txt")
    found = evaluate(benchmark, answers=answers, data=data, out=tmp_path / "out")
    assert sorted(told) == sorted(f"Tree, Dog|What about {place}?|human {place}.|model {place}" for place in range(96))
    assert found["tools"]["judge's prompt"].startswith("official.txt, sha256 ")
    assert not any("not the official one" in remark for remark in found["remarks"])


def test_a_failing_judge_is_named_and_never_rated(files, tmp_path):
    data, answers = files
    judge = Scripted(lambda content: None if place_in(content) in (5, 6) else "Rating: 4")
    with pytest.raises(AnswersError, match=r"2 × unreadable item(.|\n)*mmhal 5: the judge is silent"):
        evaluate(MmHal(judge=judge), answers=answers, data=data, out=tmp_path / "out")
    found = evaluate(MmHal(judge=judge), answers=answers, data=data, out=tmp_path / "out", partial=True)
    assert found["unrounded"]["MMHal-Bench"] == {"Score": 94 * 4 / 94, "HalRate": 0.0}
    assert found["items"] == {"mmhal": 94}
    assert [name.split(":")[0] for name in found["left_out"]["unreadable item"]] == ["mmhal 5", "mmhal 6"]


def test_without_a_judge_it_says_how_to_name_one(files, tmp_path):
    data, answers = files
    with pytest.raises(ConfigError, match=r"judge\.model"):
        evaluate(MmHal(), answers=answers, data=data, out=tmp_path / "out")


def test_the_template_must_be_whole_and_in_order(files):
    data, _ = files
    rows = json.loads(data.read_text())
    data.write_text(json.dumps(rows[:95]))
    with pytest.raises(UserError, match="95"):
        MmHal().questions(data)
    data.write_text(json.dumps([rows[1], rows[0], *rows[2:]]))
    with pytest.raises(UserError, match=r"question 0 of(.|\n)*type attribute(.|\n)*type adversarial"):
        MmHal().questions(data.parent)


def test_the_official_template(official):
    questions = MmHal().questions(official("mmhal"))
    assert [question.truth["type"] for question in questions] == list(TYPES) * 12
    assert len({question.id for question in questions}) == 96


RUN = """
import json, sys
from pathlib import Path
from jax_mdpo.evaluation.answers.joining import join
from jax_mdpo.evaluation.answers.reading import read_answers
from jax_mdpo.evaluation.benchmarking import score_answers
from jax_mdpo.evaluation.benchmarks.judge import EndpointJudge
from jax_mdpo.evaluation.benchmarks.mmhal import MmHal
data, answers, out, url = sys.argv[1:]
mmhal = MmHal(judge=EndpointJudge(model="judge", base_url=url, at_once=2, retries=0))
joined = join(mmhal.questions(Path(data)), [read_answers(Path(answers), mmhal.answers)], mmhal.answers)
scored = score_answers(mmhal, mmhal.scorer(Path(data), ("mmhal",)), joined.answered, joined.faults)
Path(out).write_text(json.dumps({"items": len(scored.items), **scored.report.rows["MMHal-Bench"]}))
"""


def test_a_killed_evaluation_goes_on_where_it_stopped(files, tmp_path):
    pytest.importorskip("openai", reason="the judge speaks through the openai library")
    data, answers = files
    stuck = [True]

    def script(request, number):
        if stuck[0] and number >= 40:
            return Say(after=60)  # the 41st and 42nd request hang until the process is killed
        return Say(f"Rating: {place_in(request['messages'][0]['content']) % 7}")

    with judge_server(script) as server:
        command = [sys.executable, "-c", RUN, str(data), str(answers), str(tmp_path / "out.json"), server.url]
        environment = {**os.environ, "JAX_MDPO_CACHE": str(tmp_path / "cache")}
        process = subprocess.Popen(command, env=environment)
        kept = tmp_path / "cache" / "judge"
        deadline = time.monotonic() + 60
        while len(list(kept.rglob("[!.]*.json"))) < 40 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        stuck[0] = False
        before = len(server.answered)
        subprocess.run(command, env=environment, check=True)
        asked = [request["messages"][0]["content"] for request in server.answered]
    assert before == 40
    assert Counter(map(place_in, asked)) == Counter(range(96))  # each of them once
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["items"] == 96
    assert found["Score"] == sum(place % 7 for place in range(96)) / 96
