"""Generation as a user meets it: an iterator, a stream, files that are continued, and the command line."""

import json

import numpy as np
import pytest
from end_to_end.world import write_checkpoint
from PIL import Image
from typer.testing import CliRunner

import jax_mdpo
from jax_mdpo.cli.main import app
from jax_mdpo.core.errors import RecordError, RunError, UserError
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.recipe.generating import generate_file, generator_of

GREEDY, SAMPLED = Decoding(max_tokens=9), Decoding(max_tokens=9, temperature=1.0, top_p=0.95, seed=4)
PROMPT = "what is in the picture ?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("world") / "checkpoint")


@pytest.fixture(scope="module")
def checkpoint(folder):
    return jax_mdpo.load(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five requests, one of them without an image, one with a cut image, one whose image is outside the folder."""
    folder = tmp_path_factory.mktemp("data")
    for name in "abc":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:500])
    rows = [
        {"id": "a", "image": "a.png", "prompt": PROMPT},
        {"id": "cut", "image": "cut.png", "prompt": PROMPT},
        {"id": 2, "prompt": "what is a dog ?"},
        {"id": "b", "image": "b.png", "prompt": "USER: <image>\na dog ? ASSISTANT:"},
        {"id": "outside", "image": "../a.png", "prompt": PROMPT},
        {"id": "c", "image": "c.png", "prompt": PROMPT},
    ]
    path = folder / "requests.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def requests(data):
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    good = [row for row in rows if row["id"] not in ("cut", "outside")]
    return [jax_mdpo.Request(row["id"], row["prompt"], data.parent / row["image"] if "image" in row else None) for row in good]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def greedy(checkpoint):
    return generator_of(checkpoint, GREEDY, batch=3)


@pytest.fixture(scope="module")
def sampled(checkpoint):
    return generator_of(checkpoint, SAMPLED, batch=3)


def test_an_answer_is_its_tokens_text_and_a_stream_gives_the_same(greedy, requests, checkpoint):
    answers = list(greedy.answers(requests))
    assert [answer.id for answer in answers] == [request.id for request in requests]
    for answer, request in zip(answers, requests, strict=True):
        assert answer.text == checkpoint.processor.decode(answer.tokens, special_tokens=False).strip()
        assert "".join(greedy.stream(request)) == answer.text
        assert answer.ended == (answer.tokens[-1] in checkpoint.processor.end_ids) and (answer.ended or len(answer.tokens) == 9)
    assert len({tuple(answer.tokens) for answer in answers}) > 1


def test_draws_depend_on_seed_and_request_but_not_on_the_batch(sampled, checkpoint, requests):
    together = [answer.tokens for answer in sampled.answers(requests)]
    assert [next(sampled.answers([request])).tokens for request in requests] == together
    assert len({tuple(tokens) for tokens in together}) == len(requests)
    other = jax_mdpo.generate(checkpoint, requests, Decoding(max_tokens=9, temperature=1.0, top_p=0.95, seed=5), batch=3)
    assert [answer.tokens for answer in other] != together


def test_a_second_call_compiles_nothing(greedy, checkpoint, requests):
    list(greedy.answers(requests))
    again = generator_of(checkpoint, GREEDY, batch=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jax_mdpo.generation.chain.prefill", refuse)
        assert list(again.answers(requests)) == list(greedy.answers(requests))


def refuse(*_):
    raise AssertionError("it was traced already")


def test_a_request_that_cannot_be_used_ends_the_answers_or_is_skipped(greedy, requests):
    bad = [
        jax_mdpo.Request("missing", PROMPT, requests[0].image.parent / "nowhere.png"),
        jax_mdpo.Request("twice", "<image> <image> what", requests[0].image),
        jax_mdpo.Request("imageless", "USER: <image>\nwhat ASSISTANT:"),
    ]
    for request in bad:
        with pytest.raises(RecordError, match=request.id):
            list(greedy.answers([request]))
    skipped = []
    answers = list(greedy.answers([bad[0], requests[0], *bad[1:], requests[1]], lambda id, error: skipped.append((id, str(error)))))
    assert [answer.id for answer in answers] == [requests[0].id, requests[1].id]
    assert [id for id, _ in skipped] == ["missing", "twice", "imageless"] and all(id in reason for id, reason in skipped)


def test_a_file_of_answers_is_continued(folder, data, greedy, requests, tmp_path):
    out = tmp_path / "answers.jsonl"
    with pytest.raises(RecordError, match="outside"):
        generate_file(folder, data, tmp_path / "strict.jsonl", GREEDY)
    written = generate_file(folder, data, out, GREEDY, batch=3, skip_bad=True)
    assert (written.answered, written.skipped) == (4, 2)
    whole = lines(out)
    assert [(one["id"], one["text"], one["tokens"]) for one in whole] == [
        (one.id, one.text, one.tokens) for one in greedy.answers(requests)
    ]
    assert sorted(one["id"] for one in lines(written.listed)) == ["cut", "outside"]

    first, second = out.read_bytes().splitlines(keepends=True)[:2]
    out.write_bytes(first + second[:10])  # as a kill leaves it
    assert generate_file(folder, data, out, GREEDY, batch=3, skip_bad=True) == written
    assert lines(out) == whole
    assert generate_file(folder, data, out, GREEDY, skip_bad=True).answered == 4 and lines(out) == whole
    with pytest.raises(RunError, match="another decoding"):
        generate_file(folder, data, out, SAMPLED, skip_bad=True)
    (tmp_path / "mine.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match="in the way"):
        generate_file(folder, data, tmp_path / "mine.jsonl", GREEDY)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (['{"prompt": "a"}', '{"prompt": "b", "id": 0}'], "row 1: another request has the id 0"),
        (['{"prompt": 3}'], "row 0: is no request"),
        (['{"prompt": "a"'], "row 0: is not JSON"),
    ],
)
def test_files_that_hold_no_requests(folder, tmp_path, rows, said):
    (tmp_path / "requests.jsonl").write_text("".join(row + "\n" for row in rows))
    with pytest.raises(UserError, match=said):
        generate_file(folder, tmp_path / "requests.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_the_command_prints_the_answer(folder, greedy, requests):
    command = ["generate", str(folder), "--prompt", requests[0].prompt, "--image", str(requests[0].image), "--max-tokens", "9"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.stdout == next(greedy.answers(requests[:1])).text + "\n"
    with pytest.raises(UserError, match="do not go together"):
        CliRunner().invoke(app, ["generate", str(folder), "--prompt", "a", "--data", "b"], catch_exceptions=False)


def test_a_quantised_base_answers(folder, requests):
    answers = list(jax_mdpo.generate(folder, requests[:1], Decoding(max_tokens=2), quantization="nf4", batch=1))
    assert len(answers[0].tokens) in (1, 2)
