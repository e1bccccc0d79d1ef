"""A cached reference: computed once, exact on resume, refused on mismatch, and a step that trains alike without a reference pass."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
from mdpo_world import World, make_world
from safetensors.numpy import load_file

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.errors import ConfigError, UserError
from jax_mdpo.core.views import View
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.reference_cache import ReferenceCache, Unfinished
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.families.llava.model import Llava
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.loading import load
from jax_mdpo.recipe.parts import variants_of
from jax_mdpo.recipe.reference import reference
from jax_mdpo.recipe.scoring import score
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.training import train
from jax_mdpo.recipe.yaml_files import read_yaml
from jax_mdpo.training.step import Loss

VIEWS = (View("clean", "chosen"), View("clean", "rejected"), View("negative", "chosen"))
NAMES = ("chosen_token_logps", "rejected_token_logps", "negative_token_logps")
MDPO = [{"name": "dpo"}, {"name": "conditional"}, {"name": "anchored"}]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(world):
    return load(world.folder)


def settings(world: World, out: Path, **changes) -> RunSettings:
    """Five pairs, three to a row and a row to a batch; the cache lies in `out`."""
    values = {
        "model": {"path": str(world.folder)},
        "data": {"path": str(world.data), "pack": 3},
        "objectives": MDPO,
        "hard_negative": {"name": "rejected_image"},
        "negatives": "fixed",
        "reference": {"cache": str(out / "reference")},
        "batch": {"pairs": 3, "logits_chunk": 8},
        "steps": 1,
        "out": str(out / "run"),
    }
    return settings_of({**values, **changes})


def opened(run: RunSettings, processor, key: str = "data") -> tuple[PairDataset, ReferenceCache]:
    data = PairDataset.open(run.data if key == "data" else run.eval_data, processor)
    return data, ReferenceCache.open(Path(run.reference.cache).absolute() / key, data.index, VIEWS)


@pytest.fixture(scope="module")
def made(world, tmp_path_factory) -> RunSettings:
    """Settings whose cache is complete."""
    run = settings(world, tmp_path_factory.mktemp("made"))
    assert reference(run) == Path(run.reference.cache)
    return run


def test_it_holds_what_score_gives_of_the_base(world, made, checkpoint):
    """`score` runs each record alone in its row, five to a batch; the cache was computed from rows of three."""
    _, cache = opened(made, checkpoint.processor)
    expected = score(checkpoint, world.data, per_token=True)
    for place, one in enumerate(expected):
        for view, name in zip(VIEWS, NAMES, strict=True):
            np.testing.assert_allclose(cache.logps(place)[view], one[name], atol=1e-5)
    assert len({len(one[NAMES[0]]) for one in expected}) > 2 and np.ptp(expected[0][NAMES[0]]) > 0.1, "lengths and values differ"


def test_killed_it_goes_on_where_it_stopped(world, made, tmp_path, monkeypatch):
    """Killed in the first of two batches, which is computed again; nothing runs at the end of the context either."""
    run, add, added = settings(world, tmp_path), Unfinished.add, []

    def killing(self, place, logps):
        if len(added) == 2:
            raise KeyboardInterrupt
        added.append(place)
        add(self, place, logps)

    monkeypatch.setattr("jax_mdpo.data.reference_cache.SECONDS_A_PART", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "add", killing)
        patch.setattr(Unfinished, "__exit__", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            reference(run)
    folder, whole = Path(run.reference.cache) / "data", Path(made.reference.cache) / "data"
    assert len(list(folder.glob("part-*.npz"))) == 2 and not (folder / "logps.npy").exists()

    monkeypatch.setattr(Unfinished, "add", lambda *arguments: (added.append(arguments[1]), add(*arguments)))
    reference(run)
    assert sorted(added) == [0, 1, 2, 3, 4], "each record once"
    assert (folder / "logps.npy").read_bytes() == (whole / "logps.npy").read_bytes()
    assert (folder / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()

    monkeypatch.setattr(Unfinished, "__init__", None)
    reference(run)  # complete: nothing is computed


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"model": {"path": "…", "dtype": "bfloat16"}}, "base in memory (model.dtype, model.quantization)"),
        ({"model": {"path": "other"}}, "base weights"),
        ({"reference_adapter": "…"}, "reference_adapter"),
        ({"seed": 1}, "hard negatives"),
        ({"hard_negative": {"name": "crop"}}, "hard negatives"),
        ({"data": {"path": "fewer"}}, "records"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_reference_is_refused_by_name(world, made, tmp_path, changes, part):
    paths = {"…": str(world.folder), "other": str(tmp_path / "other"), "fewer": str(world.data.parent / "fewer.jsonl")}
    changes = {
        key: {**value, "path": paths[value["path"]]} if isinstance(value, dict) and "path" in value else value
        for key, value in changes.items()
    }
    if "reference_adapter" in changes:
        changes["reference_adapter"] = str(world.adapter)
    if changes.get("model", {}).get("path") == paths["other"]:
        shutil.copytree(world.folder, tmp_path / "other")
        flip_the_last_byte(tmp_path / "other" / "model.safetensors")
    (world.data.parent / "fewer.jsonl").write_text("".join(world.data.read_text().splitlines(keepends=True)[:4]))
    with pytest.raises(UserError) as caught:
        reference(replace(settings(world, tmp_path, **changes), reference=made.reference))
    assert f"- {part}" in str(caught.value) and "to fix" in str(caught.value)
    differing = [line for line in str(caught.value).splitlines() if "the cache has" in line]
    assert len(differing) == (2 if part == "records" else 1), "fewer records have fewer tokens"


def flip_the_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"negatives": "fresh"}, "set negatives: fixed, or leave out reference.cache"),
        ({"objectives": [{"name": "dpo"}], "hard_negative": None}, "negatives: fixed is set, but no term"),
        ({"negatives": "frozen"}, "'negatives'"),
    ],
)
def test_contradictions_are_refused(world, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        settings(world, tmp_path, **changes)


def test_the_verb_needs_a_place(world, tmp_path):
    with pytest.raises(ConfigError, match=r"set reference\.cache"):
        reference(settings(world, tmp_path, reference={}))


def batch_of(run: RunSettings, processor, *, cached: bool) -> Batch:
    """All five pairs and one that is padding, two to a row."""
    data, cache = opened(run, processor)
    data = PairDataset.open(DataSettings(path=run.data.path, pack=2), processor)
    (host,) = data.batches(
        data.ordered_batches(batch_size=6),
        variants=variants_of(run, ("clean", "negative")),
        reference=cache if cached else None,
    )
    return jax.tree.map(jnp.asarray, host.batch)


def test_loss_and_gradient_are_those_of_the_online_reference_without_its_passes(world, made, checkpoint, monkeypatch):
    adapter = stored_adapter(world.adapter, checkpoint)
    actors, frozen, lora = make_actors(checkpoint, adapter)
    loss = Loss(actors, made.objectives, chunk=4)
    decode, passes, found = Llava.decode, [], []
    monkeypatch.setattr(Llava, "decode", lambda *arguments: (passes.append(1), decode(*arguments))[1])
    for cached in (False, True):
        passes.clear()
        with checkpoint.scope():
            value = jax.jit(jax.value_and_grad(loss, has_aux=True))(lora, frozen, batch_of(made, checkpoint.processor, cached=cached), 5.0)
        found.append((len(passes), value))
    (online, ((value, metrics), gradient)), (brought, ((same, other), close)) = found
    assert (online, brought) == (4, 2), "decoder passes in the traced program: policy and reference each see two images"
    assert float(same) == pytest.approx(float(value), rel=1e-5)
    assert other.keys() == metrics.keys() and abs(float(metrics["rewards/negative"])) > 1e-3
    for ours, theirs in zip(jax.tree.leaves(close), jax.tree.leaves(gradient), strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory) -> Path:
    """A run of four steps with fixed crops, which computes its caches first: `reference` and `features` beside it."""
    out = tmp_path_factory.mktemp("trained")
    evaluating = {"eval_data": {"path": str(world.data)}, "evaluation": {"every": 4}}
    return train(crops(world, out, vision={"cache": str(out / "features")}, **evaluating))


def crops(world: World, out: Path, **changes) -> RunSettings:
    """Two epochs, the true image and a crop side by side in one pass; learns fast enough to leave the start behind."""
    return settings(
        world,
        out,
        data={"path": str(world.data)},
        objectives=[{"name": "conditional"}],
        hard_negative={"name": "crop"},
        lora={"r": 2, "lora_alpha": 4},
        optimizer={"learning_rate": 1e-2, "warmup_ratio": 0.0},
        steps=4,
        checkpoint={"every": 2, "keep": 2},
        **changes,
    )


def adapter_of(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "adapter" / "adapter_model.safetensors")


def test_training_ends_as_without_caches(world, trained, tmp_path):
    online = train(crops(world, tmp_path, reference={}))
    ours, theirs = adapter_of(trained), adapter_of(online)
    for name, matrix in theirs.items():
        assert np.linalg.norm(ours[name] - matrix) <= 1e-5 * np.linalg.norm(matrix), name
    cached, plain = ([json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (trained, online))
    for mine, other in zip(cached, plain, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-5)
    assert abs(plain[-1]["rewards/negative"]) > 0.01
    assert "eval/rewards/negative" in cached[-1]
    for cache in ("reference", "features"):
        assert sorted(path.name for path in (trained.parent / cache).iterdir()) == ["data", "eval_data"]


def test_a_resumed_run_is_bit_identical(world, trained, tmp_path):
    """Resumed in the middle of the second epoch; the cache is read, not computed again."""
    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "4")
    shutil.rmtree(tmp_path / "run" / "adapter")
    before = (trained.parent / "reference" / "data" / "logps.npy").stat()
    settings = read_yaml(trained / "config.yaml") | {"out": str(tmp_path / "run")}
    resumed = train(settings, resume=True)
    assert (trained.parent / "reference" / "data" / "logps.npy").stat() == before
    assert (resumed / "adapter" / "adapter_model.safetensors").read_bytes() == (
        trained / "adapter" / "adapter_model.safetensors"
    ).read_bytes()
