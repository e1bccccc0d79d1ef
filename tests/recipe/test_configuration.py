"""Settings from YAML and overrides; contradictions are refused; what is written out reads back the same."""

from pathlib import Path

import pytest

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.recipe.configuration import plain, read_settings, settings_of, with_overrides

CONFIGS = Path(__file__).parent.parent.parent / "configs"
BASE = {"model": {"path": "m"}, "data": {"path": "d"}, "out": "o", "steps": 1, "objectives": [{"name": "dpo"}]}


def fault(**changes) -> str:
    with pytest.raises(ConfigError) as caught:
        settings_of({**BASE, **changes}, where="run.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_of_the_repository_reads_and_survives_being_written_out(path):
    settings = read_settings(path)
    assert settings_of(plain(settings)) == settings


def test_the_published_recipe():
    """Wang et al. 2024 and their code, as in the comments of the file."""
    settings = read_settings(CONFIGS / "llava15_7b_mdpo.yaml")
    assert settings.objectives == (DPO(beta=0.1), Conditional(beta=0.1), Anchored(beta=0.1, delta=0.0))
    assert settings.hard_negative.area == (0.01, 0.2) and settings.hard_negative.aspect == pytest.approx((3 / 4, 4 / 3))
    assert (settings.lora.r, settings.lora.lora_alpha, settings.lora.lora_dropout) == (64, 128, 0)
    optimizer = settings.optimizer
    assert (optimizer.learning_rate, optimizer.betas[1], optimizer.weight_decay, optimizer.warmup_ratio) == (1e-5, 0.98, 0.05, 0.1)
    assert (optimizer.schedule, settings.epochs, settings.batch.pairs, settings.model.dtype) == ("cosine", 3, 32, "bfloat16")


def test_overrides_reach_into_mappings_and_lists():
    values = with_overrides(
        {"optimizer": {"learning_rate": 1}, "objectives": [{"name": "dpo"}]},
        ["optimizer.learning_rate=1e-5", "objectives.0.beta=0.2", "mesh.data=2", "eval_data=null"],
    )
    assert values == {
        "optimizer": {"learning_rate": "1e-5"},
        "objectives": [{"name": "dpo", "beta": 0.2}],
        "mesh": {"data": 2},
        "eval_data": None,
    }
    assert settings_of(with_overrides(BASE, ["optimizer.learning_rate=1e-5"])).optimizer.learning_rate == 1e-5


def test_names_become_objects():
    mdpo = [{"name": "dpo", "beta": 0.2}, {"name": "conditional"}, {"name": "anchored", "delta": 1}]
    settings = settings_of({**BASE, "objectives": mdpo, "hard_negative": {"name": "crop", "area": [0.2, 0.5]}})
    assert settings.objectives == (DPO(beta=0.2), Conditional(), Anchored(delta=1.0))
    assert settings.hard_negative == Crop(area=(0.2, 0.5))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"optimiser": {}}, "did you mean 'optimizer'?"),
        ({"objectives": [{"name": "dpoo"}]}, "did you mean 'dpo'?"),
        ({"objectives": [{"name": "dpo", "betta": 1}]}, "did you mean 'beta'?"),
        ({"objectives": "dop"}, "a list of terms, for example [{name: dpo"),
        ({"objectives": ["dpoo"]}, "did you mean 'dpo'?"),
        ({"objectives": []}, "objectives is empty"),
        ({"objectives": [{"name": "dpo"}, {"name": "dpo"}]}, "names a term twice"),
        ({"hard_negative": {"name": "corp"}}, "did you mean 'crop'?"),
        ({"hard_negative": {"name": "crop"}}, "no term of objectives reads a negative image"),
        ({"objectives": [{"name": "conditional"}]}, "set hard_negative"),
        ({"epochs": 2}, "either epochs or steps"),
        ({"steps": None}, "either epochs or steps"),
        ({"steps": "many"}, "'steps'"),
        ({"eval_data": {"path": "e"}}, "eval_data is set, but nothing is evaluated on it: remove it, or add evaluation"),
        ({"evaluation": {"every": 5}}, "evaluation is set, but has nothing to evaluate: give eval_data, or evaluation.benchmarks"),
        ({"batch": {"pairs": 10, "accumulation": 3}}, "accumulation 3 must divide"),
        ({"init_adapter": "a", "lora": {"r": 4}}, "init_adapter brings its own"),
        ({"model": {"path": "m", "dtype": "int4"}}, "'model.dtype'"),
        ({"data": {"path": "d", "format": "mdppo"}}, "mdppo"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_are_refused_with_the_key_and_the_remedy(changes, expected):
    assert expected in fault(**changes)


@pytest.mark.parametrize("text", ["- a\n- b\n", "key: [1, 2\n", "!!python/object/apply:os.system ['true']\n"])
def test_files_that_hold_no_settings_are_refused(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        read_settings(tmp_path / "c.yaml")


def test_an_override_without_a_value_is_refused():
    with pytest.raises(ConfigError, match="key=value"):
        with_overrides({}, ["optimizer.learning_rate"])
