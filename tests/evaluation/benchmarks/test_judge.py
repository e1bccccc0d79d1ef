"""The judge against a real server: what it repeats, what it keeps, what it names, and what stops it."""

import json
import socket
from pathlib import Path

import pytest
from judge_server import Say, judge_server

from jax_mdpo.evaluation.benchmarks.judge import EndpointJudge, JudgeError, UnreadableReply
from jax_mdpo.evaluation.benchmarks.protocol import ItemError

pytest.importorskip("openai", reason="the judge speaks through the openai library")

MESSAGES = [{"role": "user", "content": "How many?"}]
PARAMETERS = {"temperature": 0.0}


def number(reply: str) -> int:
    try:
        return int(reply)
    except ValueError:
        raise UnreadableReply(f"no number but {reply!r}") from None


@pytest.fixture
def judge(tmp_path):
    """url, settings → the loaded judge, with a cache of this test's own."""
    return lambda url, **settings: EndpointJudge(model="judge", base_url=url, cache=tmp_path / "replies", **settings).load()


def scripted(*says: Say):
    """The responses in turn; one request more is a fault of the test's subject."""
    return lambda request, number: says[number]


def test_a_reply_names_the_model_that_gave_it(judge, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    with judge_server(scripted(Say("4", model="judge-0613"))) as server:
        loaded = judge(server.url, key="MY_KEY")
        found, reply = loaded.ask(MESSAGES, PARAMETERS, number)
    assert (found, reply.text, reply.model) == (4, "4", "judge-0613")
    assert server.requests == [{"model": "judge", "messages": MESSAGES, "temperature": 0.0}]
    assert server.keys == {"Bearer secret"}
    assert loaded.tools == {"judge": f"judge at {server.url.removeprefix('http://').removesuffix('/v1')}"}


def test_parameters_are_replaced_or_left_out(judge):
    with judge_server(scripted(Say("4"))) as server:
        ask = judge(server.url, parameters={"max_tokens": None, "max_completion_tokens": 9}).ask
        ask(MESSAGES, {"temperature": 0.2, "max_tokens": 5}, number)
    assert server.requests == [{"model": "judge", "messages": MESSAGES, "temperature": 0.2, "max_completion_tokens": 9}]


def test_a_busy_or_broken_server_is_asked_again(judge):
    with judge_server(scripted(Say("busy", status=429), Say("broken", status=500), Say("4"))) as server:
        assert judge(server.url, retries=2).ask(MESSAGES, PARAMETERS, number)[0] == 4
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "say",
    [
        Say("several"),
        Say(""),
        Say(None),
        Say(body="{"),
        Say(body="{}"),
        Say(body='{"choices": []}'),
        Say(body='{"choices": [{"message": null}]}'),
        Say(body='"text"'),
    ],
    ids=lambda say: repr(say.body or say.text),
)
def test_a_reply_that_cannot_be_read_is_asked_for_again(judge, say):
    with judge_server(scripted(say, Say("4"))) as server:
        assert judge(server.url).ask(MESSAGES, PARAMETERS, number)[0] == 4
    assert len(server.requests) == 2


def test_attempts_come_to_an_end_with_the_last_fault(judge):
    with judge_server(lambda request, number: Say("several")) as server:
        ask = judge(server.url, attempts=3).ask
        with pytest.raises(ItemError, match="3 attempts: no number but 'several'"):
            ask(MESSAGES, PARAMETERS, number)
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (422, 1), (429, 3), (503, 3)])
def test_what_concerns_one_item_is_an_error_of_that_item(judge, status, tries):
    with judge_server(lambda request, number: Say("no such length", status=status)) as server:
        ask = judge(server.url, retries=2).ask
        with pytest.raises(ItemError, match=f"{status}: .*no such length"):
            ask(MESSAGES, PARAMETERS, number)
    assert len(server.requests) == tries


def test_a_server_that_does_not_answer_in_time_is_an_error_of_that_item(judge):
    with judge_server(lambda request, number: Say("4", after=0.5)) as server:
        ask = judge(server.url, retries=0, timeout=0.05).ask
        with pytest.raises(ItemError, match=r"0\.05 s"):
            ask(MESSAGES, PARAMETERS, number)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_concerns_every_item_stops_the_evaluation(judge, status):
    with judge_server(lambda request, number: Say("no such model", status=status)) as server:
        ask = judge(server.url).ask
        with pytest.raises(JudgeError, match=f"refuses judge: {status}: .*no such model"):
            ask(MESSAGES, PARAMETERS, number)
    assert len(server.requests) == 1


def test_a_spent_quota_stops_the_evaluation(judge):
    spent = json.dumps({"error": {"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}})
    with judge_server(lambda request, number: Say(status=429, body=spent)) as server:
        ask = judge(server.url, retries=1).ask
        with pytest.raises(JudgeError, match="quota"):
            ask(MESSAGES, PARAMETERS, number)


def test_a_server_that_is_not_there_stops_the_evaluation(judge):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # a port on which nobody listens
        ask = judge(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", retries=0).ask
        with pytest.raises(JudgeError, match="cannot be reached"):
            ask(MESSAGES, PARAMETERS, number)


def test_replies_are_kept_by_what_was_asked(judge, tmp_path):
    with judge_server(lambda request, place: Say(str(place))) as server:
        first = judge(server.url).ask(MESSAGES, PARAMETERS, number)
        assert judge(server.url).ask(MESSAGES, PARAMETERS, number) == first
        other = [{"role": "user", "content": "How many more?"}]
        assert judge(server.url).ask(other, PARAMETERS, number)[0] == 1
        assert judge(server.url).ask(MESSAGES, {"temperature": 1.0}, number)[0] == 2
        other_model = EndpointJudge(model="other", base_url=server.url, cache=tmp_path / "replies")
        assert other_model.load().ask(MESSAGES, PARAMETERS, number)[0] == 3
    with judge_server(lambda request, number: Say("40")) as another:
        assert judge(another.url).ask(MESSAGES, PARAMETERS, number)[0] == 40
    assert len(server.requests) == 4


def test_what_could_not_be_read_is_not_kept(judge):
    with judge_server(scripted(Say("several"), Say("several"), Say("4"))) as server:
        with pytest.raises(ItemError):
            judge(server.url, attempts=2).ask(MESSAGES, PARAMETERS, number)
        assert judge(server.url, attempts=2).ask(MESSAGES, PARAMETERS, number)[0] == 4


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"text": 1, "model": "m"}', '{"text": "5"}'])
def test_a_damaged_file_of_a_reply_is_as_good_as_none(judge, tmp_path, damage):
    with judge_server(scripted(Say("4"), Say("6"))) as server:
        judge(server.url).ask(MESSAGES, PARAMETERS, number)
        (kept,) = (tmp_path / "replies").rglob("*.json")
        kept.write_text(damage)
        assert judge(server.url).ask(MESSAGES, PARAMETERS, number)[0] == 6
    assert json.loads(kept.read_text())["text"] == "6"


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(JudgeError, match="MY_KEY"):
        EndpointJudge(model="judge", key="MY_KEY").load()


def test_replies_lie_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_MDPO_CACHE", str(tmp_path))
    with judge_server(scripted(Say("4"))) as server:
        EndpointJudge(model="judge", base_url=server.url + "/").load().ask(MESSAGES, PARAMETERS, number)
    (kept,) = (tmp_path / "judge").rglob("*.json")
    content = json.loads(Path(kept).read_text())
    assert content["request"]["messages"] == MESSAGES and content["endpoint"] == server.url
