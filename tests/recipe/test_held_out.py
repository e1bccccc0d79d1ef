"""The image-reliance probe in a run: what it counts against `score`'s machinery on files with those images, and what it says."""

import json
import re

import jax
import numpy as np
import pytest
from end_to_end import world
from PIL import Image
from safetensors.numpy import load_file, save_file

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.evaluation import reliance
from jax_mdpo.evaluation.scoring import Scorer
from jax_mdpo.models.actors import make_actors
from jax_mdpo.recipe import held_out
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.parts import variants_of
from jax_mdpo.recipe.training import prepare, train

PAIRS = 32
NAMES = ("true", "blank", "other")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return world.write_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """32 pairs with an image each, and two that are text only."""
    path = world.write_pairs(tmp_path_factory.mktemp("pairs") / "data", PAIRS)
    text = {"prompt": "what is in the picture ?", "chosen": "a red cat .", "rejected": "no one ."}
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": f"text-{i}", **text}) + "\n" for i in range(2))
    return path


def settings(model, data, out, **changes):
    values = {
        "model": {"path": str(model)},
        "data": {"path": str(data), "length_multiple": 8},
        "eval_data": {"path": str(data), "length_multiple": 8, "pack": 2},
        "evaluation": {"every": 1},
        "objectives": [{"name": "dpo"}],
        "lora": {"r": 2, "lora_alpha": 16},
        "batch": {"pairs": 8, "logits_chunk": 8},
        "steps": 1,
        "out": str(out / "run"),
    }
    return settings_of({**values, **changes})


def moved(state, size=0.2):
    """The state with an adapter that is no longer the start's."""
    rng = np.random.default_rng(3)
    return state._replace(lora=jax.tree.map(lambda leaf: leaf + size * rng.standard_normal(leaf.shape).astype(np.float32), state.lora))


@pytest.fixture(scope="module")
def prepared(model, pairs, tmp_path_factory):
    run = settings(model, pairs, tmp_path_factory.mktemp("prepared"))
    return run, prepare(run)


@pytest.fixture(scope="module")
def evaluated(prepared):
    _, ready = prepared
    return ready.job.evaluate(moved(ready.state))


def shown(prepared, name, folder):
    """The pairs in a file of their own, with the images that the probe shows."""
    run, ready = prepared
    data = PairDataset.open(run.eval_data, ready.checkpoint.processor)
    folder.mkdir()
    rows = []
    for place in range(PAIRS):
        record = data.records[place]
        made = data.pair(place, variants=variants_of(run, ("clean", "other"))).images
        image = {"true": made["clean"], "blank": Image.new("RGB", made["clean"].size), "other": made["other"]}[name]
        image.save(folder / f"{place}.png")
        assert name != "other" or made["other"].tobytes() != made["clean"].tobytes()
        rows.append({"id": place, "image": f"{place}.png", "prompt": record.prompt, "chosen": record.chosen, "rejected": record.rejected})
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "pairs.jsonl"


def test_it_judges_as_score_does_with_these_images(prepared, evaluated, tmp_path):
    _, ready = prepared
    actors, frozen, _ = make_actors(ready.checkpoint, ready.adapter)
    scorer = Scorer(ready.checkpoint, actors, frozen, moved(ready.state).lora, ("policy", "reference"), 0.1, PAIRS)
    right = {}
    for name in NAMES:
        data = PairDataset.open(DataSettings(path=str(shown(prepared, name, tmp_path / name))), ready.checkpoint.processor)
        scores = dict(scorer.scores(data, per_token=False))
        right[name] = np.array([scores[place]["chosen_reward"] > scores[place]["rejected_reward"] for place in range(PAIRS)])
    found = evaluated.metrics
    assert found["reliance/pairs"] == PAIRS
    for name in NAMES:
        assert found[f"reliance/accuracy_{name}"] == np.mean(right[name])
    for name in ("blank", "other"):
        assert found[f"reliance/changed_{name}"] == np.mean(right[name] != right["true"]) > 0
    assert 0 < np.mean(right["true"]) < 1
    (note,) = evaluated.notes
    assert f"of {PAIRS} held-out pairs in the right order: {np.mean(right['true']):.1%} with the true image" in note


def test_the_reference_judges_once_and_no_evaluation_is_like_another(prepared, evaluated):
    """Once more with other factors: the reference's log-probs are kept, and belong to the pairs that they were computed of."""
    _, ready = prepared
    reference = [0]

    def counting(actors, chunk):
        compiled = reliance.make_reference_logps(actors, chunk)
        return lambda *arguments: (reference.append(1), compiled(*arguments))[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "make_reference_logps", counting)
        again = prepare(prepared[0], ready.checkpoint)
    first, second, third = (again.job.evaluate(moved(again.state, size)).metrics for size in (0.2, 0.1, 0.2))
    assert first == third == evaluated.metrics and second != first
    batches = -(-(PAIRS + 2) // 8)
    assert sum(reference) == len(NAMES) * batches


def test_a_model_that_does_not_see_is_said_to_prefer_by_language_alone(model, pairs, tmp_path, capsys):
    """The projector gives zeros. Features are kept on disk for the training, the probe looks for itself."""
    blind = world.write_checkpoint(tmp_path / "blind")
    weights = load_file(blind / "model.safetensors")
    projector = [name for name in weights if "multi_modal_projector" in name]
    assert len(projector) == 4
    save_file({**weights, **{name: np.zeros_like(weights[name]) for name in projector}}, blind / "model.safetensors", {"format": "pt"})
    best = {"every": 1, "best": {"metric": "eval/reliance/accuracy_true", "mode": "max"}}
    run = train(settings(blind, pairs, tmp_path, vision={"cache": str(tmp_path / "features")}, steps=2, checkpoint=best))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    said = capsys.readouterr().err
    assert len(re.findall("image reliance: of 32 .*: the model prefers by language alone", said)) == 2
    for line in lines:
        assert line["eval/reliance/accuracy_true"] == line["eval/reliance/accuracy_blank"] == line["eval/reliance/accuracy_other"] > 0
        assert line["eval/reliance/changed_blank"] == line["eval/reliance/changed_other"] == 0


def test_without_a_reference_the_judge_is_the_log_prob_per_token(prepared, model, pairs, tmp_path):
    _, ready = prepared
    free = prepare(settings(model, pairs, tmp_path, objectives=[{"name": "simpo"}]), ready.checkpoint)
    actors, frozen, _ = make_actors(ready.checkpoint, ready.adapter)
    scorer = Scorer(ready.checkpoint, actors, frozen, moved(ready.state).lora, ("policy",), 0.1, PAIRS)
    data = PairDataset.open(DataSettings(path=str(shown(prepared, "true", tmp_path / "true"))), ready.checkpoint.processor)
    means = [
        [scores[f"{answer}_logp"] / scores[f"{answer}_tokens"] for answer in ("chosen", "rejected")]
        for _, scores in scorer.scores(data, per_token=False)
    ]
    found = free.job.evaluate(moved(ready.state)).metrics["reliance/accuracy_true"]
    assert found == np.mean([chosen > rejected for chosen, rejected in means])


def test_where_no_record_has_another_s_image_nothing_is_judged_and_nothing_fails(prepared, model, pairs, tmp_path):
    rows = [json.loads(line) for line in pairs.read_text().splitlines()[:3]]
    alike = pairs.parent / "alike.jsonl"
    alike.write_text("".join(json.dumps({**row, "image": "0.jpg"}) + "\n" for row in rows))
    run = settings(model, pairs, tmp_path, eval_data={"path": str(alike)})
    found = prepare(run, prepared[1].checkpoint).job.evaluate(prepared[1].state)
    assert found.metrics["reliance/pairs"] == 0 and found.metrics["loss"] == pytest.approx(np.log(2), rel=1e-5)
    assert "too few pairs" in found.notes[0] and found.skipped == []


def test_it_can_be_left_out_and_texts_alone_leave_it_out(prepared, model, pairs, tmp_path):
    texts = pairs.parent / "texts.jsonl"
    texts.write_text("".join(pairs.read_text().splitlines(keepends=True)[PAIRS:]))
    for changes in ({"evaluation": {"every": 1, "reliance": False}}, {"eval_data": {"path": str(texts)}}):
        found = prepare(settings(model, pairs, tmp_path, **changes), prepared[1].checkpoint).job.evaluate(prepared[1].state)
        assert found.notes == () and not any("reliance" in name for name in found.metrics)
