"""The official files at their full size, with made-up answers whose figures follow from counts alone."""

import json
from itertools import count

import pytest

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.amber import Amber
from jax_mdpo.evaluation.benchmarks.language import Loaded
from jax_mdpo.evaluation.benchmarks.pope import MEAN, SPLITS
from jax_mdpo.recipe.evaluating import evaluate


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_popes_nine_thousand_questions(official, tmp_path):
    files = []
    for split in SPLITS:
        rows = [json.loads(line) for line in (official("pope") / f"coco_pope_{split}.json").read_text().splitlines()]
        seen = {"yes": count(1), "no": count(1)}
        # of 1,500 questions whose truth is yes, every fifth is denied; of 1,500 whose truth is no, every tenth is affirmed
        wrong = [next(seen[row["label"]]) % {"yes": 5, "no": 10}[row["label"]] == 0 for row in rows]
        said = ["Yes, there is." if (row["label"] == "yes") != flip else "No, there is not." for row, flip in zip(rows, wrong, strict=True)]
        answers = [{"question": row["text"], "answer": answer} for row, answer in zip(rows, said, strict=True)]
        files.append(write_lines(tmp_path / f"{split}.jsonl", answers))
    found = evaluate("pope", answers=files, data=official("pope"), out=tmp_path / "out")
    assert found["items"] == dict.fromkeys(SPLITS, 3000)
    precision, recall = 1200 / (1200 + 150), 1200 / 1500
    rates = {
        "Accuracy": (1200 + 1350) / 3000,
        "Precision": precision,
        "Recall": recall,
        "F1 score": 2 * precision * recall / (precision + recall),
        "Yes ratio": (1200 + 150) / 3000,
    }
    for split in SPLITS:
        assert found["unrounded"][split] == {"TP": 1200, "FP": 150, "TN": 1350, "FN": 300, **rates}
    assert found["unrounded"][MEAN] == pytest.approx(rates, rel=1e-15)


@config
class EveryWord:
    """Every word is a noun, and none is like another."""

    def load(self):
        return Loaded(str.split, {})


@config
class Unlike:
    def load(self):
        return Loaded(lambda one, other: 0.0, {})


# type → how many questions have the truth yes, and how many no, as AMBER's paper and files count them
COUNTS = {
    "discriminative-hallucination": (0, 4924),
    "discriminative-attribute-state": (2382, 2382),
    "discriminative-attribute-number": (1036, 1036),
    "discriminative-attribute-action": (396, 396),
    "discriminative-relation": (975, 0),
    "relation": (0, 689),
}
KINDS = {"Existence": ("hallucination",), "State": ("state",), "Number": ("number",), "Action": ("action",), "Relation": ("relation",)}
KINDS["Attribute"] = ("state", "number", "action")
KINDS["Discriminative"] = tuple(KINDS[name][0] for name in ("Existence", "State", "Number", "Action", "Relation"))


def discriminative_answers(annotations):
    """Of the questions of each type, every third whose truth is yes and every fourth whose truth is no is answered wrongly."""
    seen = {(kind, truth): count(1) for kind in COUNTS for truth in ("yes", "no")}
    for annotation in annotations:
        kind, truth = annotation["type"], annotation["truth"]
        wrong = next(seen[kind, truth]) % {"yes": 3, "no": 4}[truth] == 0
        yield {"id": annotation["id"], "response": "Yes" if (truth == "yes") != wrong else "No"}


def expected_figures(row):
    chosen = [counts for kind, counts in COUNTS.items() if kind.endswith(KINDS[row])]
    yes, no = sum(counts[0] for counts in chosen), sum(counts[1] for counts in chosen)
    denied_wrongly, affirmed_wrongly = sum(counts[0] // 3 for counts in chosen), sum(counts[1] // 4 for counts in chosen)
    start = 0.003 if row == "Attribute" else 0.001
    right = no - affirmed_wrongly
    precision = round(100 * right / (start + right + denied_wrongly), 1)
    recall = round(100 * right / (start + no), 1)
    epsilon = 0.001 if row == "Existence" else 0.0001
    p, r = precision / 100, recall / 100
    accuracy = round(100 * (yes + no - denied_wrongly - affirmed_wrongly) / (start + yes + no), 1)
    return {"Accuracy": accuracy, "Precision": precision, "Recall": recall, "F1": round(100 * 2 * p * r / (p + r + epsilon), 1)}


def generative_answers(annotations, related, safe):
    """Odd ids name one object twice that has nothing to do with the image; even ones an expected hallucination, where one is not true."""
    known = sorted(set(related).union(*related.values()))
    for annotation in annotations:
        true, expected = (
            {*names, *(word for name in names for word in related[name])} for names in (annotation["truth"], annotation["hallu"])
        )
        if annotation["id"] % 2:
            other = next(word for word in known if word not in true | expected | safe)
            yield {"id": annotation["id"], "response": f"{other} {other}"}
        else:
            yield {"id": annotation["id"], "response": next((word for word in annotation["hallu"] if word not in true | safe), "")}


def test_ambers_fifteen_thousand_questions(official, tmp_path):
    data = official("amber")
    annotations = json.loads((data / "annotations.json").read_text())
    safe = set((data / "safe_words.txt").read_text().split())
    described, asked = annotations[:1004], annotations[1004:]
    generative = list(generative_answers(described, json.loads((data / "relation.json").read_text()), safe))
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps(generative + list(discriminative_answers(asked))))

    found = evaluate(Amber(nouns=EveryWord(), similarity=Unlike()), answers=answers, data=data, out=tmp_path / "out")

    assert sum(found["items"].values()) == 15220
    assert found["counts"] == {"answers neither Yes nor No": 0}
    for row in ("Discriminative", "Existence", "Attribute", "State", "Number", "Action", "Relation"):
        assert found["figures"][row] == expected_figures(row), row
    named = sum(answer["response"] != "" for answer in generative[1::2])  # ids 2, 4, …
    mentions = 2 * 502 + named
    assert found["unrounded"]["Generative"] == {
        "CHAIR": pytest.approx(100 * mentions / (mentions + 0.001), rel=1e-12),
        "Cover": 0.0,
        "Hal": pytest.approx(100 - 100 * (502 - named) / (1004 + 0.001), rel=1e-12),
        "Cog": pytest.approx(100 * named / (sum(len(one["hallu"]) for one in described) + 0.001), rel=1e-12),
    }
    rows = found["unrounded"]
    score = (100 - rows["Generative"]["CHAIR"] + rows["Discriminative"]["F1"]) / 2
    assert rows["AMBER"]["AMBER score"] == pytest.approx(score, rel=1e-15)
