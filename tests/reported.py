"""Folders for the page of `report`: small runs and evaluations, written as `train` and `eval` write them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml
from PIL import Image

from jax_mdpo.recipe.evaluating import evaluate

OBJECTS = ("dog", "cat", "bus")
IMAGES = 20
MDPO = ({"name": "dpo", "beta": 0.1}, {"name": "conditional", "beta": 0.1})


def run(
    folder: Path, *, steps: int = 40, seed: int = 0, objectives: Sequence[Mapping] = MDPO, loss: Callable = lambda step: 2 / step
) -> Path:
    """A run whose loss is a function of the step; its first two steps compile."""
    folder.mkdir(parents=True)
    settings = {"model": {"path": "model"}, "objectives": list(objectives), "seed": seed, "out": str(folder)}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    with (folder / "metrics.jsonl").open("w") as log:
        for step in range(1, steps + 1):
            values = {"loss": loss(step), "loss/dpo": loss(step) / 2, "rewards/chosen": 0.1 * step, "rewards/accuracy": step / steps}
            values |= {"grad_norm": 1.0, "learning_rate": 1e-5, "programs": 1 + (step > 1), "compilations": 1}
            values |= {
                "step_seconds": 10.0 if step < 3 else 0.5,
                "data_wait_seconds": 0.05,
                "pairs_per_second": 32.0,
                "tokens_per_second": 4000.0,
            }
            if step % 20 == 0:
                values |= {"eval/loss": loss(step), "eval/reliance/accuracy_true": 0.9, "eval/pope/Accuracy": step / 100}
            log.write(json.dumps({"step": step, **values}) + "\n")
    (folder / "adapter").mkdir()
    return folder


def pope_data(folder: Path) -> Path:
    """One split: of each image, OBJECTS are asked for; the first is there. The images are there too, in images/."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for image in range(IMAGES):
        Image.new("RGB", (400, 300), (10 * image, 90, 120)).save(folder / "images" / f"{image}.jpg")
        for name in OBJECTS:
            label = "yes" if name == OBJECTS[0] else "no"
            rows.append({"question_id": len(rows) + 1, "image": f"{image}.jpg", "text": f"Is there a {name}?", "label": label})
    file = folder / "adversarial.json"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def pope(folder: Path, data: Path, wrong: Callable[[int], bool], *, said: Mapping[int, str] | None = None, only: int | None = None) -> Path:
    """An evaluation with wrong answers where `wrong` says so of the question's number, from 0; `said`: other answers, by number."""
    rows = [json.loads(line) for line in data.read_text().splitlines()][:only]
    answers = []
    for place, row in enumerate(rows):
        yes = (row["label"] == "yes") != wrong(place)
        answers.append(
            {"question_id": row["question_id"], "question": row["text"], "answer": (said or {}).get(place, "Yes." if yes else "No.")}
        )
    folder.mkdir(parents=True)
    file = folder / "adversarial.jsonl"
    file.write_text("\n".join(map(json.dumps, answers)))
    evaluate("pope", answers=file, data=data, out=folder / "pope", partial=only is not None)
    return folder / "pope"


def described(folder: Path, answers: Sequence[tuple[str, Sequence[Sequence[str]]]], *, tools: Mapping[str, str] | None = None) -> Path:
    """An evaluation by CHAIR of (caption, hallucinated words with nodes); every image has a dog, which each caption names."""
    folder.mkdir(parents=True)
    with (folder / "items.jsonl").open("w") as file:
        for id, (answer, hallucinated) in enumerate(answers):
            reading = {"hallucinated": hallucinated, "correct": [["dog", "dog"]], "present": ["dog"]}
            asked = {"part": "chair", "id": id, "question": "Please describe this image.", "image": f"{id}.jpg"}
            file.write(json.dumps({**asked, "answer": answer, **reading}) + "\n")
    made_up = sum(len(words) for _, words in answers)
    figures = {
        "CHAIRs": 100 * sum(bool(words) for _, words in answers) / len(answers),
        "CHAIRi": 100 * made_up / (made_up + len(answers)),
        "Recall": 100.0,
    }
    metrics = {"benchmark": "chair", "figures": {"CHAIR": figures}, "unrounded": {"CHAIR": figures}, "decimals": 1}
    metrics |= {"items": {"chair": len(answers)}, "tools": dict(tools or {"tokeniser": "words"}), "options": {"name": "chair"}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder
