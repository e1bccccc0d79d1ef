"""A run on a quantised base, from its settings to both merged exports."""

import needs_torch  # noqa: F401
import numpy as np
import pytest
from mdpo_world import make_world
from typer.testing import CliRunner

from jax_mdpo.cli.main import app
from jax_mdpo.core.errors import ConfigError, RunError, UserError
from jax_mdpo.lora.peft_files import read_adapter
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.exporting import export
from jax_mdpo.recipe.scoring import score
from jax_mdpo.recipe.training import train
from jax_mdpo.weights.files import CheckpointFiles
from jax_mdpo.weights.key_layouts import canonical
from jax_mdpo.weights.quantising import NF4

QUERY = "model.language_model.layers.{}.self_attn.q_proj"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def settings(world, tmp_path_factory):
    return {
        "model": {"path": str(world.folder), "quantization": "nf4"},
        "data": {"path": str(world.data)},
        "out": str(tmp_path_factory.mktemp("runs") / "run"),
        "objectives": [{"name": "dpo"}],
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": r"model\.language_model\..*\.q_proj"},
        "batch": {"pairs": 5, "logits_chunk": 8},
        "optimizer": {"learning_rate": 3e-2, "warmup_ratio": 0.0, "schedule": "constant"},
        "steps": 2,
    }


@pytest.fixture(scope="module")
def run(settings):
    return train(settings)


def weights(folder):
    files = CheckpointFiles.open(folder)
    return {canonical(key): files.read(key) for key in files.tensors}


def updates(run):
    adapter = read_adapter(run / "adapter", [QUERY.format(layer) for layer in range(2)])
    return {f"{name}.weight": adapter.targets[name].scaling * (b @ a) for name, (a, b) in adapter.factors.items()}


def is_quantised(key):
    return key.startswith("model.language_model.layers.") and "_proj" in key


def test_the_merged_checkpoint_is_the_trained_model(world, run, tmp_path):
    """Without a word about it, the export holds what the adapter was trained on: every quantised weight, adapted or not, dequantised."""
    merged = export(run, format="hf", out=tmp_path / "merged")
    ours = score(world.folder, world.data, quantization="nf4", adapter=run / "adapter")
    theirs = score(merged, world.data)
    for one, other in zip(ours, theirs, strict=True):
        assert one["chosen_logp"] == pytest.approx(other["chosen_logp"], abs=1e-3)
        assert abs(one["chosen_logp"] - one["ref_chosen_logp"]) > 0.1, "training must have changed the model"
    source, update = weights(world.folder), updates(run)
    assert len(update) == 2
    for key, weight in weights(merged).items():
        held = NF4.decode(NF4.encode(source[key].T), source[key].shape[1]).T if is_quantised(key) else source[key]
        np.testing.assert_allclose(weight, held + update.get(key, 0), atol=1e-6)


def test_the_adapter_can_be_merged_into_the_source_s_own_weights(world, run, tmp_path):
    merged = weights(export(run, format="hf", out=tmp_path / "merged", base="original"))
    update = updates(run)
    for key, weight in weights(world.folder).items():
        np.testing.assert_allclose(merged[key], weight + update.get(key, 0), atol=1e-6)


def test_the_program_says_what_it_merged_into(run, tmp_path):
    def printed(*options):
        out = str(tmp_path / f"out{len(options)}")
        return CliRunner().invoke(app, ["export", str(run), "--format", "hf", "--out", out, *options], catch_exceptions=False).stdout

    assert "merged into the weights that the adapter was trained on, dequantised from nf4" in printed()
    assert "merged into the source's own weights, though the adapter was trained on them in nf4" in printed("--base", "original")


def test_a_base_is_chosen_only_where_there_is_a_choice(world, run, settings, tmp_path):
    with pytest.raises(UserError, match="an adapter is not merged into anything"):
        export(run, format="peft", out=tmp_path / "a", base="original")
    plain = tmp_path / "plain"
    (plain / "adapter").mkdir(parents=True)
    text = (run / "config.yaml").read_text()
    assert "quantization: nf4" in text
    (plain / "config.yaml").write_text(text.replace("quantization: nf4", "quantization: null"))
    with pytest.raises(UserError, match="the run did not quantise its base"):
        export(plain, format="hf", out=tmp_path / "b", base="dequantised")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


@pytest.mark.parametrize("other", ["int8", None])
def test_a_run_does_not_go_on_with_another_base(settings, run, other):
    changed = {**settings, "model": {**settings["model"], "quantization": other}}
    with pytest.raises(RunError, match=r"model\.quantization"):
        train(changed, resume=True)


def test_formats_that_do_not_exist_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=r"'model\.quantization'.*'int8'.*'nf4'"):
        settings_of({**settings, "model": {**settings["model"], "quantization": "int4"}})
