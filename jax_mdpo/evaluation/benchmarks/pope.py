"""POPE (arXiv 2305.10355): is there an object in the image, yes or no; the figures of RUCAIBox/POPE's evaluate.py."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import UserError
from jax_mdpo.data.readers.rows import RowOrFault, read_rows
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Figure, Item, Question, Reading, Report, Terms, added

SPLITS = ("random", "popular", "adversarial")
LABELS = ("yes", "no")
SUFFIXES = (".json", ".jsonl")
MEAN = "mean of 3 splits"


@config
class Pope:
    """POPE over COCO, A-OKVQA or GQA: the folder of the three splits' files, or one of them. A copy's 2,910 rows are as good as 3,000."""

    answers = AnswerFormat(
        answer=("answer", "text"), id=("question_id", "id"), question=("question", "prompt"), part=("split",), by_order=True
    )

    def questions(self, data: Path) -> Sequence[Question]:
        """The questions of all splits that are there, in SPLITS' order; a file that names no split is a part by its own name."""
        files = _split_files(data) if data.is_dir() else {_split_of(data): data}
        return [_question(row, number, part, file) for part, file in files.items() for number, row in enumerate(read_rows(file), start=1)]

    def scorer(self, data: Path, parts: Collection[str]) -> "PopeScorer":
        return PopeScorer()

    def report(self, items: Sequence[Item]) -> Report:
        return self.total(added(items, self.terms))

    def terms(self, item: Item) -> Terms:
        """(part, what was said, what is true): how often."""
        return {(item.question.part, item.reading["said"], item.reading["truth"]): 1}

    def total(self, sums: Terms) -> Report:
        kinds = Counter(sums)
        rows = {
            part: figures({kind: int(kinds[part, *kind]) for kind in product(LABELS, LABELS)})
            for part in dict.fromkeys(part for (part, *_), count in kinds.items() if count)
        }
        if set(rows) == set(SPLITS):
            rows[MEAN] = {name: sum(rows[split][name] for split in SPLITS) / len(SPLITS) for name in RATES}
        return Report(rows, decimals=4, better=dict.fromkeys(("Accuracy", "Precision", "Recall", "F1 score"), "more"))


class PopeScorer:
    """Whether an answer is right."""

    tools: Mapping[str, str] = {}
    at_once = 1

    def read(self, question: Question, answer: str) -> Reading:
        said = said_yes_or_no(answer)
        return {"said": said, "truth": question.truth, "correct": said == question.truth}


def said_yes_or_no(answer: str) -> str:
    """What the official tool takes an answer for: "no" if it says No, not or no before its first full stop, else "yes".

    Words are what stands between single spaces, commas left out, and case counts: "NO", "isn't", "none" and "" are yes.
    """
    words = answer.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


RATES = ("Accuracy", "Precision", "Recall", "F1 score", "Yes ratio")


def figures(counts: Mapping[tuple[str, str], int]) -> dict[str, Figure]:
    """The figures from how often what was said met what is true; a rate of nothing is 0."""
    tp, fp, tn, fn = counts["yes", "yes"], counts["yes", "no"], counts["no", "no"], counts["no", "yes"]
    precision, recall, total = _rate(tp, tp + fp), _rate(tp, tp + fn), tp + fp + tn + fn
    rates = (_rate(tp + tn, total), precision, recall, _rate(2 * precision * recall, precision + recall), _rate(tp + fp, total))
    return {"TP": tp, "FP": fp, "TN": tn, "FN": fn, **dict(zip(RATES, rates, strict=True))}


def _rate(part: Figure, whole: Figure) -> float:
    return part / whole if whole else 0.0


def _split_files(folder: Path) -> dict[str, Path]:
    files = {split: [file for file in sorted(folder.iterdir()) if split in file.name and file.suffix in SUFFIXES] for split in SPLITS}
    for split, several in files.items():
        if len(several) > 1:
            raise UserError(
                f"{folder} holds several files of POPE's {split} split",
                expected="one for each split",
                got=", ".join(file.name for file in several),
                fix="name one of the files, or a folder with the splits of one data set",
            )
    found = {split: one[0] for split, one in files.items() if one}
    if not found:
        raise UserError(f"{folder} holds no question file of POPE", expected="such as coco_pope_random.json")
    return found


def _split_of(file: Path) -> str:
    return next((split for split in SPLITS if split in file.name), file.stem)


def _question(row: RowOrFault, number: int, part: str, file: Path) -> Question:
    where = f"row {number} of {file}"
    if isinstance(row, str):
        raise UserError(f"{where} {row}", fix="get the file again from the benchmark's authors")
    missing = [name for name in ("question_id", "image", "text", "label") if name not in row]
    if missing or row["label"] not in LABELS:
        got = _shown(row) if missing else f"label {row['label']!r}"
        raise UserError(f"{where} is no question of POPE", expected="question_id, image, text, and label yes or no", got=got)
    return Question(row["question_id"], row["text"], row["image"], part, row["label"])


def _shown(row: Mapping[str, Any]) -> str:
    return f"the columns {', '.join(row)}"
