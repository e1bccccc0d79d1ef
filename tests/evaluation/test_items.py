"""Items on disk give the figures that they gave in memory, and nothing else is taken for them."""

import json

import pytest

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.answers.reading import read_answers
from jax_mdpo.evaluation.answers.writing import answer_row
from jax_mdpo.evaluation.benchmarks.chair import Chair
from jax_mdpo.evaluation.benchmarks.pope import Pope, PopeScorer
from jax_mdpo.evaluation.benchmarks.protocol import Item, Question
from jax_mdpo.evaluation.items import read_items, write_items


def test_figures_of_stored_items_are_those_of_the_items(tmp_path):
    questions = [Question(1, "Is there a café?", "1.jpg", "random", "yes"), Question(2, "Is there a cat?", b"\xff\xd8", "random", "no")]
    items = [Item(question, "Yes", PopeScorer().read(question, "Yes")) for question in questions]
    write_items(items, tmp_path / "items.jsonl")
    stored = read_items(tmp_path / "items.jsonl")
    assert Pope().report(stored) == Pope().report(items)
    assert [(item.question.id, item.question.text, item.question.image, item.answer) for item in stored] == [
        (1, "Is there a café?", "1.jpg", "Yes"),
        (2, "Is there a cat?", b"", "Yes"),
    ]


def test_another_file_is_no_list_of_items(tmp_path):
    (tmp_path / "items.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(UserError, match=r"row 1 of .* is no item of an evaluation"):
        read_items(tmp_path / "items.jsonl")


@pytest.mark.parametrize(("benchmark", "id", "part"), [(Pope, "7", "popular"), (Chair, "7", None)])
def test_what_is_written_is_read_back(tmp_path, benchmark, id, part):
    row = answer_row(Question(7, "Is there a cat?", "7.jpg", "popular"), "No.", benchmark.answers)
    (tmp_path / "answers.jsonl").write_text(json.dumps(row) + "\n")
    (answer,) = read_answers(tmp_path / "answers.jsonl", benchmark.answers).rows
    assert (answer.id, answer.part, answer.text, answer.fault) == (id, part, "No.", None)
    assert answer.question == ("Is there a cat?" if benchmark is Pope else None)
