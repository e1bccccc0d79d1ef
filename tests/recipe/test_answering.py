"""A model is asked: questions and images of each benchmark in, answers in the official format and their figures out."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pictured
import pytest
from coco_world import Lemmas, Words, coco, synonyms
from end_to_end.world import write_checkpoint
from judge_server import Say, judge_server
from pictured import WHAT, read_lines
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

import jax_mdpo
from jax_mdpo.cli.main import app
from jax_mdpo.core.config import config
from jax_mdpo.core.errors import ConfigError, RecordError, RunError, UserError
from jax_mdpo.evaluation.benchmarks.amber import Amber
from jax_mdpo.evaluation.benchmarks.chair import Chair
from jax_mdpo.evaluation.benchmarks.judge import EndpointJudge
from jax_mdpo.evaluation.benchmarks.mmhal import TEMPLATE, TYPES, MmHal
from jax_mdpo.evaluation.benchmarks.object_halbench import ObjectHalBench
from jax_mdpo.evaluation.benchmarks.pope import said_yes_or_no
from jax_mdpo.evaluation.benchmarks.protocol import Question
from jax_mdpo.exporting.merged import export_merged
from jax_mdpo.lora.peft_files import write_adapter
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.recipe import answering
from jax_mdpo.recipe.adapters import fresh_adapter
from jax_mdpo.recipe.answering import evaluate_model
from jax_mdpo.recipe.evaluating import evaluate
from jax_mdpo.recipe.exam import drawn

SHORT = jax_mdpo.Decoding(max_tokens=6)
BATCH = 4
ASKED = {"decoding": SHORT, "batch": BATCH}  # as in all tests: the programs are compiled once
APPENDED = "\ntwo birds"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_MDPO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def pope(tmp_path_factory):
    return pictured.pope(tmp_path_factory.mktemp("pope") / "questions", 5)


@pytest.fixture(scope="module")
def asked(model, pope, tmp_path_factory):
    """An evaluation that was left alone."""
    out = tmp_path_factory.mktemp("asked") / "out"
    return out, evaluate_model("pope", model, data=pope[0], images=pope[1], out=out, append=APPENDED, **ASKED)


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    """An adapter that changes the answers, as a PEFT folder, and what it is made of."""
    fresh = fresh_adapter(LoRASettings(r=2, lora_alpha=8), jax_mdpo.load(model), seed=0)
    rng = np.random.default_rng(0)
    factors = {name: (a, 0.5 * rng.standard_normal(b.shape).astype(np.float32)) for name, (a, b) in fresh.factors.items()}
    folder = tmp_path_factory.mktemp("adapter") / "peft"
    write_adapter(folder, factors=factors, targets=fresh.targets, base_model=str(model))
    return folder, replace(fresh, factors=factors)


def generated(model, questions):
    """The texts that `generate` gives; questions: (text, image)."""
    requests = [jax_mdpo.Request(number, text, image) for number, (text, image) in enumerate(questions)]
    return [answer.text for answer in jax_mdpo.generate(model, requests, SHORT, batch=BATCH)]


def test_pope_is_asked_in_official_order_and_scored_as_a_file_is(model, pope, asked, tmp_path):
    data, images = pope
    out, found = asked
    questions = [(split, row) for split in pictured.SPLITS for row in read_lines(data / f"coco_pope_{split}.json")]
    texts = generated(model, [(row["text"] + APPENDED, images / row["image"]) for _, row in questions])
    assert len(set(texts)) > 1
    assert read_lines(out / "answers.jsonl") == [
        {"question_id": row["question_id"], "split": split, "question": row["text"], "answer": text}
        for (split, row), text in zip(questions, texts, strict=True)
    ]
    right = Counter(split for (split, row), text in zip(questions, texts, strict=True) if said_yes_or_no(text) == row["label"])
    assert [found["unrounded"][split]["Accuracy"] for split in pictured.SPLITS] == [right[split] / 5 for split in pictured.SPLITS]
    again = evaluate("pope", answers=out / "answers.jsonl", data=data, out=tmp_path)
    assert {**again, "made_by": found["made_by"]} == found
    assert (tmp_path / "items.jsonl").read_bytes() == (out / "items.jsonl").read_bytes()
    assert json.loads((out / "metrics.json").read_text()) == found
    made_by = found["made_by"]
    assert (made_by["model"], made_by["append"], made_by["decoding"]["max_tokens"]) == (str(model), APPENDED, SHORT.max_tokens)
    assert (made_by["adapter"], made_by["sample"], found["remarks"]) == (None, None, [])


def test_amber_s_questions_alone_need_no_language_parts(model, tmp_path):
    data, images = pictured.amber(tmp_path / "amber")
    absent = Amber(nouns=Missing(), similarity=Missing())
    found = evaluate_model(absent, model, data=data, images=images, out=tmp_path / "out", only=["discriminative"], **ASKED)
    assert found["items"] == {"discriminative-attribute": 2, "discriminative-existence": 2}
    assert found["absent"] == ["generative"]
    answers = read_lines(tmp_path / "out" / "answers.jsonl")
    assert [(row["id"], row["query"]) for row in answers] == [(id, WHAT) for id in (3, 4, 5, 6)]
    assert [row["response"] for row in answers] == generated(model, [(WHAT, images / f"AMBER_{id}.jpg") for id in (3, 4, 5, 6)])
    with pytest.raises(AssertionError, match="loaded"):  # before the model, which is not there
        evaluate_model(absent, "nowhere", data=data, images=images, out=tmp_path / "other")


@config
class Missing:
    """A language part that is not on this machine."""

    def load(self):
        raise AssertionError("loaded")


def test_chair_is_asked_about_the_images_that_are_there(model, tmp_path):
    data = coco(synonyms(tmp_path / "coco", "synonyms.txt"), {id: (["dog"], ["A dog."]) for id in (1, 2, 3)})
    images = pictured.jpegs(tmp_path / "images", *(f"COCO_val2014_{id:012}.jpg" for id in (1, 3)))
    found = evaluate_model(Chair(tokens=Words(), prompt=WHAT), model, data=data, images=images, out=tmp_path / "out", **ASKED)
    texts = generated(model, [(WHAT, images / f"COCO_val2014_{id:012}.jpg") for id in (1, 3)])
    answers = read_lines(tmp_path / "out" / "answers.jsonl")
    assert answers == [{"image_id": id, "caption": text} for id, text in zip((1, 3), texts, strict=True)]
    assert found["items"] == {"chair": 2}
    assert found["remarks"] == ["1 of 3 questions were not asked: their images were not there."]
    with pytest.raises(UserError, match="none of the 3 questions' images is in"):
        evaluate_model(Chair(tokens=Words()), "nowhere", data=data, images=tmp_path, out=tmp_path / "other")


def test_object_halbench_brings_its_images(model, tmp_path):
    data = pictured.object_halbench(tmp_path / "objhal", (1, 2, 3))
    found = evaluate_model(ObjectHalBench(tokens=Words(), lemmas=Lemmas()), model, data=data, out=tmp_path / "out", **ASKED)
    answers = read_lines(tmp_path / "out" / "answers.jsonl")
    assert [row["answer"] for row in answers] == generated(model, [(WHAT, data / "pictures" / f"{id}.jpg") for id in (1, 2, 3)])
    assert found["items"] == {"object_halbench": 3}


def test_a_judge_rates_a_sample_of_mmhal(model, tmp_path):
    pytest.importorskip("openai", reason="the judge speaks through the openai library")
    rows = [
        {
            "question_type": TYPES[place % 8],
            "image_id": f"i{place}",
            "image_src": f"https://example.org/{place}.jpg",
            "image_content": ["Dog"],
        }
        | {"question": f"{WHAT} {place} ?", "gt_answer": "A dog.", "model_answer": ""}
        for place in range(96)
    ]
    (tmp_path / TEMPLATE).write_text(json.dumps(rows))
    images = pictured.jpegs(tmp_path / "images", *(f"{place}.jpg" for place in range(96)))
    given = {"data": tmp_path, "images": images, "sample": 5, **ASKED}
    with pytest.raises(ConfigError, match="judge"):  # before the model, which is not there
        evaluate_model(MmHal(), "nowhere", out=tmp_path / "out", **given)
    with judge_server(lambda request, number: Say("Rating: 6")) as server:
        judge = EndpointJudge(model="judge", base_url=server.url, retries=0)
        found = evaluate_model(MmHal(judge=judge), model, out=tmp_path / "out", **given)
    assert found["unrounded"]["MMHal-Bench"] == {"Score": 6.0, "HalRate": 0.0}
    answers = read_lines(tmp_path / "out" / "answers.jsonl")
    assert len(answers) == len(server.answered) == 5
    for row in answers:
        assert any(row["question"] in request["messages"][0]["content"] for request in server.answered)
    assert "Not the official figures: 5 of 96 questions were asked, drawn at random." in found["remarks"]


def test_an_adapter_answers_as_the_model_that_it_is_merged_into(model, pope, asked, adapter, tmp_path):
    folder, made = adapter
    export_merged(model, tmp_path / "merged", factors=made.factors, targets=made.targets)
    given = {"data": pope[0], "images": pope[1], "append": APPENDED, **ASKED}
    beside = evaluate_model("pope", model, adapter=folder, out=tmp_path / "beside", **given)
    evaluate_model("pope", tmp_path / "merged", out=tmp_path / "into", **given)
    answers = (tmp_path / "beside" / "answers.jsonl").read_bytes()
    assert answers == (tmp_path / "into" / "answers.jsonl").read_bytes()
    assert answers != (asked[0] / "answers.jsonl").read_bytes()
    assert beside["made_by"]["adapter"] == str(folder)


def test_missing_images_are_named_at_once_and_before_anything_else(pope, tmp_path):
    data, images = pope
    some = shutil.copytree(images, tmp_path / "images")
    for number in (1, 2):
        (some / f"{number}.jpg").unlink()
    (some / "3.jpg").write_bytes(b"")
    ids = Counter(id % 4 for id in range(1, 6))
    with pytest.raises(UserError) as raised:
        evaluate_model("pope", "nowhere", data=data, images=some, out=tmp_path / "out")
    message = str(raised.value)
    assert f"{3 * (ids[1] + ids[2] + ids[3])} of 15 questions cannot be asked, for want of 3 images" in message
    assert "'1.jpg' does not exist" in message and "'2.jpg' does not exist" in message and "'3.jpg' is an empty file" in message
    assert "--images" in message
    with pytest.raises(UserError, match="15 questions are about image files"):
        evaluate_model("pope", "nowhere", data=data, out=tmp_path / "out")
    with pytest.raises(UserError, match="there is no image folder"):
        evaluate_model("pope", "nowhere", data=data, images=tmp_path / "none", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_question_that_stands_twice_is_refused(pope, tmp_path):
    data, images = pope
    file = shutil.copy(data / "coco_pope_random.json", tmp_path / "random.json")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines, lines[1]]))
    with pytest.raises(UserError, match="the question random 2 stands twice"):
        evaluate_model("pope", "nowhere", data=file, images=images, out=tmp_path / "out")


def test_a_sample_is_drawn_from_each_part_by_its_share_and_lies_in_a_larger_one():
    sizes = {"one": 50, "two": 30, "three": 20}
    questions = [Question(id, "?", "1.jpg", part, "yes" if id % 2 else "no") for part, size in sizes.items() for id in range(size)]
    ten, forty = drawn(questions, 10), drawn(questions, 40)
    assert Counter(question.part for question in ten) == {"one": 5, "two": 3, "three": 2}
    assert Counter(question.part for question in drawn(questions, 7)) == {"one": 4, "two": 2, "three": 1}  # of 3.5, 2.1 and 1.4
    assert [question for question in questions if question in ten] == ten and all(question in forty for question in ten)
    assert drawn(questions, 100) == drawn(questions, 1000) == questions
    assert set(Counter(question.truth for question in forty)) == {"yes", "no"}


def test_what_was_cut_off_is_asked_again_and_the_rest_is_not(model, pope, asked, tmp_path, monkeypatch):
    out, found = asked
    whole = (out / "answers.jsonl").read_bytes().splitlines(keepends=True)
    given = {"data": pope[0], "images": pope[1], "append": APPENDED, **ASKED}
    requested = []

    def recorded(*arguments, **options):
        made = jax_mdpo.recipe.generating.generator_of(*arguments, **options)
        batches = made.batches
        object.__setattr__(
            made, "batches", lambda requests, skip: (requested.extend(one.id for one in requests), batches(requests, skip))[1]
        )
        return made

    monkeypatch.setattr(answering, "generator_of", recorded)
    for kept, asks in ((2 * BATCH, range(8, 15)), (2 * BATCH + 1, range(8, 15)), (len(whole), ())):
        stopped = shutil.copytree(out, tmp_path / str(kept))
        (stopped / "metrics.json").unlink()
        half = whole[kept][:9] if kept < len(whole) else b""
        (stopped / "answers.jsonl").write_bytes(b"".join(whole[:kept]) + half)
        requested.clear()
        assert evaluate_model("pope", model, out=stopped, **given) == found
        for name in ("answers.jsonl", "items.jsonl", "metrics.json"):
            assert (stopped / name).read_bytes() == (out / name).read_bytes(), name
        rows = [json.loads(line) for line in whole]
        assert requested == [f"{rows[place]['split']} {rows[place]['question_id']}" for place in asks]


def test_answers_of_another_origin_are_not_continued(model, pope, asked, adapter, tmp_path):
    data, images = pope
    out = shutil.copytree(asked[0], tmp_path / "out")
    given = {"data": data, "images": images, "out": out, "append": APPENDED, **ASKED}
    for changes, said in (
        ({"adapter": adapter[0]}, "another adapter and another weights"),
        ({"append": "!"}, "another append and another questions"),
        ({"sample": 3}, "another questions and another sample"),
        ({"only": ["random"]}, "another questions"),
        ({"decoding": jax_mdpo.Decoding(max_tokens=7)}, "another decoding"),
        ({"dtype": "bfloat16"}, "another dtype"),
    ):
        with pytest.raises(RunError, match=rf"answers\.jsonl was begun with {said}\n"):
            evaluate_model("pope", model, **{**given, **changes})
    assert evaluate_model("pope", model, **given) == asked[1]


def test_the_same_folder_with_other_weights_is_another_model(model, pope, asked, tmp_path):
    copy = shutil.copytree(model, tmp_path / "model")
    given = {"data": pope[0], "images": pope[1], "out": tmp_path / "out", "only": ["random"], **ASKED}
    evaluate_model("pope", copy, **given)
    weights = load_file(copy / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(RunError, match="begun with another weights"):
        evaluate_model("pope", copy, **given)


def test_figures_of_other_answers_are_refused_before_anything_is_asked(model, pope, asked, tmp_path):
    evaluate("pope", answers=asked[0] / "answers.jsonl", data=pope[0], out=tmp_path)
    with pytest.raises(RunError, match=r"metrics\.json holds the figures of other answers"):
        evaluate_model("pope", model, data=pope[0], images=pope[1], out=tmp_path, **ASKED)
    assert not (tmp_path / "answers.jsonl").exists()


def test_two_processes_do_not_write_the_same_answers(model, pope, tmp_path):
    holding = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holding, tmp_path / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(RunError, match="is in use by"):
            evaluate_model("pope", model, data=pope[0], images=pope[1], out=tmp_path, **ASKED)
        other.communicate()
    assert not (tmp_path / "answers.jsonl").exists()


def test_a_broken_image_stops_the_evaluation_which_goes_on_when_it_is_mended(model, pope, asked, tmp_path):
    data, images = pope
    some = shutil.copytree(images, tmp_path / "images")
    (some / "2.jpg").write_bytes((images / "2.jpg").read_bytes()[:100])
    given = {"data": data, "images": some, "out": tmp_path / "out", "append": APPENDED, **ASKED}
    with pytest.raises(RecordError, match=r"'random 2'.*cannot be decoded"):
        evaluate_model("pope", model, **given)
    shutil.copy(images / "2.jpg", some)
    assert evaluate_model("pope", model, **given)["unrounded"] == asked[1]["unrounded"]


def command(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)], env={"COLUMNS": "80"}, catch_exceptions=False)


def test_the_command_asks_and_says_what_the_figures_are_of(model, pope, adapter, tmp_path):
    data, images = pope
    given = ("pope", model, "--data", data, "--images", images, "--out", tmp_path / "out", "--adapter", adapter[0])
    done = command(*given, "--sample", 6, "--max-tokens", 6, "--batch", BATCH, "--append", APPENDED)
    assert done.exit_code == 0, done.output
    assert "items: 6 (random 2, popular 2, adversarial 2)" in done.stdout
    assert "Not the official figures: 6 of 15 questions were asked, drawn at random." in done.stdout
    assert f"answers by: model='{model}', adapter='{adapter[0]}'" in done.stdout
    assert f"append={APPENDED!r}" in done.stdout and "sample=6" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("MODEL", "--answers", "a.jsonl"), r"a model and answers that exist do not go together"),
        ((), r"who answers is not clear"),
        (("--answers", "a.jsonl", "--images", "i", "--max-tokens", 4), r"--images, --max-tokens: nothing is asked"),
        (("--answers", "a.jsonl", "--sample", 4), r"--sample: nothing is asked"),
        (("MODEL", "--top-p", 0.5), r"top_p changes nothing"),
    ],
)
def test_options_that_do_not_go_together(pope, tmp_path, arguments, said):
    with pytest.raises(UserError, match=said):
        command("pope", *arguments, "--data", pope[0], "--out", tmp_path / "out")
