"""Saved states come back bit for bit, or are recognised as damaged and replaced by the one before."""

import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jax_mdpo.core.errors import RunError
from jax_mdpo.training.checkpoints import Checkpoints
from jax_mdpo.training.digests import DIGESTS
from jax_mdpo.training.settings import BestMetric, CheckpointSettings
from jax_mdpo.training.state import TrainState

KEEP_2 = CheckpointSettings(keep=2)


def state(step: int) -> TrainState:
    lora = {"q": {"a": jax.random.normal(jax.random.key(step), (3, 5)), "b": jnp.full((5, 2), float(step))}}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))
    return TrainState(jnp.int32(step), lora, optimizer.init(lora), jax.random.key_data(jax.random.key(3)))


def save(folder, *steps, settings=KEEP_2, metrics=()):
    with Checkpoints(folder, settings, {"data": "d"}) as checkpoints:
        for step in steps:
            checkpoints.save(step, state(step), dict(metrics).get(step, {}))


def restored_step(folder) -> int:
    with Checkpoints(folder, KEEP_2, {"data": "d"}) as checkpoints:
        return int(checkpoints.restore(state(0)).step)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    save(folder, 10, 20)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of a run's checkpoints of steps 10 and 20."""
    return shutil.copytree(saved, tmp_path / "checkpoints")


def test_a_state_comes_back_bit_for_bit(saved):
    with Checkpoints(saved, KEEP_2, {"data": "d"}) as checkpoints:
        restored = checkpoints.restore(state(0))
    expected = state(20)
    assert jax.tree.structure(restored) == jax.tree.structure(expected)
    for found, wanted in zip(jax.tree.leaves(restored), jax.tree.leaves(expected), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_a_restored_state_lies_as_the_given_one_does(saved):
    mesh = jax.make_mesh((1,), ("fsdp",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("fsdp"))
    like = jax.tree.map(lambda leaf: jax.device_put(leaf, sharding) if leaf.ndim == 2 else leaf, state(0))
    with Checkpoints(saved, KEEP_2, {"data": "d"}) as checkpoints:
        assert checkpoints.restore(like).lora["q"]["a"].sharding == sharding


def test_the_state_may_be_reused_as_soon_as_save_returns(tmp_path):
    """Donation hands the arrays' memory to the next step while the save still runs."""
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 0 - 1, tree), donate_argnums=0)
    big = {"a": jnp.arange(1_000_000, dtype=jnp.float32)}
    with Checkpoints(tmp_path, KEEP_2, {}) as checkpoints:
        checkpoints.save(1, big, {})
        overwrite(big)
    with Checkpoints(tmp_path, KEEP_2, {}) as checkpoints:
        restored = checkpoints.restore({"a": jnp.zeros(1_000_000)})
    np.testing.assert_array_equal(restored["a"], np.arange(1_000_000, dtype=np.float32))


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 3)])
def test_the_latest_and_the_best_are_kept(tmp_path, mode, best):
    settings = CheckpointSettings(keep=2, best=BestMetric(metric="eval/loss", mode=mode))
    metrics = {1: {"eval/loss": 3.0}, 2: {"eval/loss": 1.0}, 3: {"eval/loss": 4.0}, 4: {"eval/loss": 2.0}, 6: {"eval/loss": float("nan")}}
    save(tmp_path, 1, 2, 3, settings=settings, metrics=metrics)
    with Checkpoints(tmp_path, settings, {"data": "d"}) as checkpoints:  # what was best is known to a resumed run
        for step in (4, 5, 6):  # 5 and 6 were not evaluated, or to no avail
            checkpoints.save(step, state(step), metrics.get(step, {}))
        assert checkpoints.best_step() == best
    assert names(tmp_path) == [str(best), "5", "6"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_a_flipped_bit_in_any_file_is_noticed(folder, caplog):
    files = [path.relative_to(folder / "20") for path in (folder / "20").rglob("*") if path.is_file()]
    assert len(files) > 5
    for count, name in enumerate(files, start=1):
        flip(folder / "20" / name)
        assert restored_step(folder) == 10, name
        flip(folder / f"20.broken-{count}" / name)
        shutil.copytree(folder / f"20.broken-{count}", folder / "20")
    assert restored_step(folder) == 20


def biggest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def truncate(folder):
    biggest(folder).write_bytes(biggest(folder).read_bytes()[:-1])


DAMAGE = {
    "has": truncate,
    "is missing": lambda folder: biggest(folder).unlink(),
    "never finished": lambda folder: (folder / DIGESTS).unlink(),
    "was added": lambda folder: (folder / "state" / "extra").write_bytes(b""),
    "digests.json is damaged": lambda folder: (folder / DIGESTS).write_text('{"files": {"a'),
    "expected": lambda folder: [path.write_bytes(b"") for path in folder.rglob("*") if path.is_file() and path.name != DIGESTS],
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(folder, caplog, reason):
    DAMAGE[reason](folder / "20")
    with caplog.at_level(logging.WARNING, "jax_mdpo"):
        assert restored_step(folder) == 10
    [warning] = [record.getMessage() for record in caplog.records if record.name.startswith("jax_mdpo")]
    assert str(folder / "20") in warning and reason in warning and "20.broken-1" in warning and "step 10" in warning
    assert names(folder) == ["10", "20.broken-1"]


def test_a_damaged_older_checkpoint_is_moved_aside_too(folder, caplog):
    truncate(folder / "10")
    assert restored_step(folder) == 20
    assert "step 20 is newer and sound" in caplog.text and names(folder) == ["10.broken-1", "20"]


def test_the_step_of_a_damaged_checkpoint_can_be_saved_again(folder):
    for broken in (["20.broken-1"], ["20.broken-1", "20.broken-2"]):
        truncate(folder / "20")
        save(folder, 20)
        assert names(folder) == ["10", "20", *broken]
        assert restored_step(folder) == 20


def test_what_a_killed_save_left_behind_is_in_nobodys_way(folder):
    shutil.copytree(folder / "20", folder / "30.orbax-checkpoint-tmp")
    assert restored_step(folder) == 20
    save(folder, 30)
    assert names(folder) == ["20", "30"]


def test_no_trustworthy_checkpoint_is_an_error_that_leaves_all_as_it_was(folder):
    truncate(folder / "10")
    (folder / "20" / DIGESTS).unlink()
    with pytest.raises(RunError, match=r"(?s)no checkpoint in .* can be trusted.*step 20: .*step 10: .*to fix"):
        Checkpoints(folder, KEEP_2, {})
    assert names(folder) == ["10", "20"]


def test_a_first_save_cut_short_means_starting_over(folder, caplog):
    shutil.rmtree(folder / "10")
    (folder / "20" / DIGESTS).unlink()
    with Checkpoints(folder, KEEP_2, {}) as checkpoints:
        assert checkpoints.latest is None
    assert "starting from step 0" in caplog.text and names(folder) == ["20.broken-1"]


def test_a_state_of_other_data_is_refused(saved):
    with (
        Checkpoints(saved, KEEP_2, {"data": "other", "weights": "w"}) as checkpoints,
        pytest.raises(RunError, match=r"(?s)step 20 .*data, weights changed.*data d; weights None.*data other; weights w"),
    ):
        checkpoints.restore(state(0))


def test_an_error_of_the_background_is_raised_by_the_next_wait(tmp_path, monkeypatch):
    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jax_mdpo.training.checkpoints.write_digests", full)
    with pytest.raises(OSError, match="No space left"), Checkpoints(tmp_path, KEEP_2, {}) as checkpoints:
        checkpoints.save(1, state(1), {})
