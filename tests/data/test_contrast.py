"""The answer that suits the negative image: read where a term asks for it, and free of cost where none does."""

import jax
import numpy as np
import pytest

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.views import CHOSEN, CONTRAST, REJECTED, RESPONSES
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.readers.reading import read_records
from jax_mdpo.data.rewording import reworded
from jax_mdpo.data.settings import DataSettings

ALL = (*RESPONSES, CONTRAST)
PAIRS = [("two cats", "a dog"), ("a dog and three birds", "no"), ("yes", "people watch three birds")]
CONTRASTS = ["three birds play near the water", "people", "no"]


def rows(*, contrast: bool) -> list[dict]:
    found = [{"id": f"r{place}", "prompt": "what is shown?", "chosen": chosen, "rejected": rejected}
             for place, (chosen, rejected) in enumerate(PAIRS)]  # fmt: skip
    return [{**row, "contrast": other} for row, other in zip(found, CONTRASTS, strict=True)] if contrast else found


def opened(path, processor, responses=ALL, **settings) -> PairDataset:
    return PairDataset.open(DataSettings(path=str(path), **settings), processor, responses)


def batch_of(data: PairDataset, **asked):
    (host,) = data.batches(data.ordered_batches(batch_size=len(data) + len(data) % data.settings.pack), **asked)
    return host.batch


@pytest.fixture
def path(write_lines):
    return write_lines(*rows(contrast=True))


def test_a_third_branch_with_the_same_prefix(path, vicuna):
    batch = batch_of(opened(path, vicuna))
    assert set(batch.branches) == set(ALL)
    branch = batch.branches[CONTRAST]
    for place, text in enumerate(CONTRASTS):
        targets = branch.targets[place][branch.scored[place]].tolist()
        assert targets == [*vicuna.tokenize(text, special_tokens=False).ids, vicuna.eos_id], text
    longest = max(len(vicuna.tokenize(text, special_tokens=False).ids) for text in CONTRASTS)
    assert branch.segments.shape[1] >= longest + 1


def test_a_run_that_does_not_read_it_pays_nothing(path, vicuna, write_lines):
    without = opened(write_lines(*rows(contrast=False), name="pictures/without.jsonl"), vicuna, RESPONSES)
    beside = opened(path, vicuna, RESPONSES)
    assert beside.buckets == without.buckets
    assert beside.fingerprint() == without.fingerprint() and beside.index.fingerprint() == without.index.fingerprint()
    for ours, theirs in zip(jax.tree.leaves(batch_of(beside)), jax.tree.leaves(batch_of(without)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert opened(path, vicuna).fingerprint() != beside.fingerprint()


def test_the_index_of_three_answers_is_kept(path, vicuna, monkeypatch):
    first = opened(path, vicuna)
    monkeypatch.setattr("jax_mdpo.data.index.build_index", None)
    again = opened(path, vicuna)
    assert [again.index.pair(place) for place in range(3)] == [first.index.pair(place) for place in range(3)]
    assert list(again.index.pair(0)) == list(ALL)
    for response in ALL:
        lengths = [len(first.index.pair(place)[response].ids) - first.index.pair(place)[response].start for place in range(3)]
        assert again.index.scored(response).tolist() == lengths


def test_a_record_without_one_is_named(write_lines, vicuna):
    bad = rows(contrast=True)
    del bad[1]["contrast"]
    path = write_lines(*bad)
    with pytest.raises(RecordError, match=r"record 'r1': has no contrast response") as caught:
        opened(path, vicuna)
    assert "a contrast column" in str(caught.value)
    skipping = opened(path, vicuna, on_bad_record="skip")
    assert [id for id, _ in skipping.skipped] == ["r1"] and set(skipping.index.pair(1)) == set(ALL)
    assert len(opened(path, vicuna, RESPONSES)) == 3


def test_it_differs_from_the_chosen_answer(write_lines, vicuna):
    bad = rows(contrast=True)
    bad[2]["contrast"] = bad[2]["chosen"]
    with pytest.raises(RecordError, match="'r2': its chosen and contrast responses become the same tokens"):
        opened(write_lines(*bad), vicuna)
    bad[2]["contrast"] = bad[2]["rejected"]  # the rejected answer may be what suits the other image
    assert opened(write_lines(*bad), vicuna).index.pair(2)[CONTRAST] == opened(write_lines(*bad), vicuna).index.pair(2)[REJECTED]


def read(path, **options):
    (found,) = read_records(path, **options)
    return found


def test_it_is_read_from_columns_and_from_messages(write_lines):
    row = {"prompt": "what?", "chosen": "two cats", "rejected": "a dog"}
    assert read(write_lines(row)).contrast is None
    assert read(write_lines({**row, "contrast": "birds"})).contrast == "birds"
    assert read(write_lines({**row, "other": "birds"}), columns={"contrast": "other"}).contrast == "birds"
    assert "its contrast response is empty" in str(read(write_lines({**row, "contrast": " "})).error)
    assert "contrast has the wrong type" in str(read(write_lines({**row, "contrast": 0.7})).error)


@pytest.mark.parametrize("explicit", [True, False])
def test_messages_share_their_prompt(write_lines, explicit):
    def turn(role: str, text: str) -> dict:
        return {"role": role, "content": text}

    prompt, answers = [turn("user", "what?")], {"chosen": "two cats", "rejected": "a dog", "contrast": "birds"}
    row = {name: [*([] if explicit else prompt), turn("assistant", text)] for name, text in answers.items()}
    found = read(write_lines({**row, **({"prompt": prompt} if explicit else {})}))
    assert [message.role for message in found.prompt] == ["user"]
    assert [message.content[0].text for message in found.contrast] == ["birds"]


@pytest.mark.parametrize("pack", [1, 2])
def test_reworded_tokens_come_with_the_batch_where_asked(path, vicuna, pack):
    data = opened(path, vicuna, RESPONSES, pack=pack)
    assert batch_of(data).changed == {}
    batch = batch_of(data, changed=True)
    found = {response: [] for response in RESPONSES}
    for plan in data.ordered_batches(batch_size=len(data) + len(data) % pack):
        for at, place in enumerate(plan.records):
            for response in RESPONSES:
                branch, row = batch.branches[response], at // pack
                own = branch.scored[row] & (branch.segments[row] == at % pack + 1)
                found[response].append((place, batch.changed[response][row][own].tolist()))
                assert not (batch.changed[response][row] & ~branch.scored[row]).any()
    for place in range(3):
        pair = data.index.pair(place)
        expected = dict(zip(RESPONSES, reworded(pair[CHOSEN], pair[REJECTED]), strict=True))
        for response in RESPONSES:
            assert dict(found[response])[place] == expected[response].tolist()
        assert any(any(marks) for marks in expected.values())
