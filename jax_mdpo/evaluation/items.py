"""items.jsonl: each answer with what was read in it, so that figures of any sample of them can be computed anew."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import replacing
from jax_mdpo.data.readers.rows import read_rows
from jax_mdpo.evaluation.benchmarks.protocol import Item, Question

OWN = ("part", "id", "question", "image", "answer")  # the keys that are not the reading's


def write_items(items: Iterable[Item], path: Path) -> None:
    """One JSON object a line, in their order; the file appears whole or not at all. An image that is bytes is not repeated."""
    with replacing(path) as whole, whole.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_line(item), ensure_ascii=False) + "\n" for item in items)


def read_items(path: Path) -> list[Item]:
    """What `write_items` wrote, without the questions' truths. Raises UserError where the file is another."""
    return [_item(row, f"row {number} of {path}") for number, row in enumerate(read_rows(path), start=1)]


def _line(item: Item) -> dict[str, Any]:
    question = item.question
    image = {"image": question.image} if isinstance(question.image, str) else {}
    return {"part": question.part, "id": question.id, "question": question.text, **image, "answer": item.answer, **item.reading}


def _item(row: dict[str, Any] | str, where: str) -> Item:
    if isinstance(row, str) or not {"part", "id", "question", "answer"} <= row.keys():
        raise UserError(f"{where} is no item of an evaluation", expected="part, id, question and answer", fix="run the evaluation again")
    question = Question(row["id"], row["question"], row.get("image", b""), row["part"])
    return Item(question, row["answer"], {key: value for key, value in row.items() if key not in OWN})
