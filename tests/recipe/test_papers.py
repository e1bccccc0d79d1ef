"""The papers' runs: each file is a run that its paper describes, and a step of each is traced and lowered at its model's size."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.data.batches import Bucket
from jax_mdpo.models.families import family_of, published
from jax_mdpo.planning.topologies import host_devices
from jax_mdpo.recipe.abstract import abstract_run
from jax_mdpo.recipe.configuration import plain, read_settings, settings_of
from jax_mdpo.recipe.described import describe
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.sharding.logical import make_mesh

PAPERS = Path(__file__).parents[2] / "configs" / "papers"
NAMES = sorted(str(path.relative_to(PAPERS).with_suffix("")) for path in PAPERS.rglob("*.yaml"))
STILL_TO_COME = {  # checkpoints of families that are not there yet, by the model_type of their configuration: to shrink
    "BAAI/Bunny-v1_0-3B": "bunny-phi",
    "Qwen/Qwen2.5-VL-3B-Instruct": "qwen2_5_vl",
}
BUCKET = Bucket(640, 128)  # an image's 576 positions with a prompt, and an answer


@cache
def settings(name: str) -> RunSettings:
    return read_settings(PAPERS / f"{name}.yaml", ["model.attention=xla"])  # a CPU's


def program(run: RunSettings) -> str:
    """What a step's program depends on beside constants and ranks: the model, the batch, the terms and what they need."""
    return f"{run.model} {run.batch} {sorted(term.label for term in run.objectives)} {sorted(map(repr, run.needs))}"


PROGRAMS = {program(settings(name)): name for name in reversed(NAMES) if settings(name).model.path not in STILL_TO_COME}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_a_run_that_says_which_row_it_is(name):
    run = settings(name)
    assert settings_of(plain(run)) == run
    assert run.out == f"runs/papers/{name}"
    head = "".join(line for line in (PAPERS / f"{name}.yaml").read_text().splitlines(True) if line.startswith("#"))
    assert {"mdpo": "arXiv 2406.11839", "ue_dpo": "arXiv 2605.04874"}[name.split("/")[0]] in head
    assert "Known" in head and "Not verified" in head


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("mdpo/")])
def test_the_recipe_of_mdpo(name):
    """Section 4.1 of arXiv 2406.11839 and bunny/config.yaml of luka-group/mDPO."""
    run = settings(name)
    assert (run.lora.r, run.lora.lora_alpha, run.lora.lora_dropout) == (64, 128, 0)
    optimizer = run.optimizer
    assert (optimizer.learning_rate, optimizer.betas[1], optimizer.weight_decay, optimizer.warmup_ratio) == (1e-5, 0.98, 0.05, 0.1)
    assert (optimizer.schedule, run.epochs, run.batch.pairs, run.batch.accumulation) == ("cosine", 3, 32, 8)
    assert run.data.max_length == 2048 and all(term.beta == 0.1 for term in run.objectives)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ue_dpo/")])
def test_the_recipe_of_ue_dpo(name):
    run = settings(name)
    assert (run.lora.r, run.optimizer.learning_rate, run.optimizer.schedule, run.batch.pairs, run.epochs) == (128, 1e-5, "cosine", 64, 2)
    (term,) = run.objectives
    assert term.beta == 0.1 and run.hard_negative is None
    if name.endswith("_dpo"):
        assert term.weights is None and run.noise is None
        return
    alpha = {"llava15_7b": 0.3, "llava15_13b": 0.25, "qwen25_vl_3b": 0.15}[name.removeprefix("ue_dpo/").split("_rl")[0]]
    assert (term.weights.alpha, term.weights.tau, run.noise.step) == (alpha, 0.4, 500)
    assert run.data.format == ("rlaif_v" if "rlaif_v" in name else "rlhf_v")


TERMS_OF = {  # rows that differ in the terms, as labels
    "bunny_3b_dpo": {"dpo"},
    "bunny_3b_mdpo": {"dpo", "conditional", "anchor"},
    "bunny_3b_no_conditional": {"dpo", "anchor"},
    "bunny_3b_no_anchor": {"dpo", "conditional"},
    "bunny_3b_anchor_rejected": {"dpo", "conditional", "anchor", "anchor_rejected"},
    "bunny_3b_anchor_all": {"dpo", "conditional", "anchor", "anchor_rejected", "anchor_negative"},
}


@pytest.mark.parametrize("name", TERMS_OF)
def test_rows_of_the_ablations_differ_in_their_terms(name):
    assert {term.label for term in settings(f"mdpo/{name}").objectives} == TERMS_OF[name]


def test_rows_of_the_negatives_differ_in_them_alone():
    whole = plain(settings("mdpo/bunny_3b_mdpo"))
    for name, made in (("other_image", "other_image"), ("crop_20_50", "crop"), ("moco", "moco")):
        row = plain(settings(f"mdpo/bunny_3b_{name}"))
        assert {key for key in whole if row[key] != whole[key]} == {"hard_negative", "out"}
        assert row["hard_negative"]["name"] == made
    larger = settings("mdpo/bunny_3b_crop_20_50").hard_negative
    assert (larger.area, larger.aspect) == ((0.2, 0.5), settings("mdpo/bunny_3b_mdpo").hard_negative.aspect)


def test_the_branches_of_ue_dpo():
    found = [settings(f"ue_dpo/llava15_7b_rlhf_v{branch}").objectives[0].weights.answers for branch in ("", "_chosen", "_rejected")]
    assert found == ["both", "chosen", "rejected"]


@pytest.mark.parametrize("name", PROGRAMS.values())
def test_a_step_is_traced_and_lowered_at_its_model_s_size(name):
    """Files that share a program stand for each other: those on other data, and those with other constants.

    With a small rank: an adapter's factors are drawn, 2 GB of them for rank 128 on a 13B, where all else is shapes.
    """
    run = replace(settings(name), lora=replace(settings(name).lora, r=4))
    mesh = make_mesh(data=1, fsdp=1, tensor=1, devices=host_devices(1))
    abstract = abstract_run(run, describe(run.model), mesh)
    with abstract.checkpoint.scope():
        lowered = abstract.trace(BUCKET).lower()
    _, metrics = lowered.out_info
    assert {key for key in metrics if key.startswith("loss/")} == {f"loss/{term.label}" for term in run.objectives}


def test_programs_stand_for_all_files_of_the_families_that_are_there():
    there = [name for name in NAMES if settings(name).model.path not in STILL_TO_COME]
    assert {program(settings(name)) for name in there} == set(PROGRAMS) and len(PROGRAMS) < len(there)
    assert {settings(name).model.path for name in there} == {"llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-13b-hf"}


@pytest.mark.parametrize(("checkpoint", "kind"), STILL_TO_COME.items())
def test_families_still_to_come_are_refused_by_name(checkpoint, kind, tmp_path):
    """Where this fails because the family has landed: take its line out of STILL_TO_COME, and its runs are lowered above."""
    assert any(settings(name).model.path == checkpoint for name in NAMES)
    assert published(checkpoint) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(WeightsError, match=rf"(?s)a model that is not supported.*{kind}"):
        family_of(tmp_path)
