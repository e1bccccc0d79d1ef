"""Named parts of the settings: shorthand, parts within parts, a class of the user's own, presets; and what is wrong with them."""

import sys

import pytest
from own_parts import write_own_parts

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.corruptions import Noise, TokenMask
from jax_mdpo.data.hard_negatives import Blur, Crop, Mixture
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.recipe.configuration import plain, read_settings, settings_of

RUN = {"model": {"path": "m"}, "data": {"path": "d"}, "out": "o", "steps": 1}
UNCERTAIN = {"name": "dpo", "weights": {"name": "uncertainty", "alpha": 0.2}}


def made(**changes):
    return settings_of({**RUN, **changes})


def test_a_bare_name_stands_for_the_defaults():
    run = made(objectives=["dpo", "conditional"], hard_negative="crop")
    assert run.objectives[0] == DPO() and run.hard_negative == Crop()
    assert made(objectives=[{"name": "dpo", "weights": "uncertainty"}], noise={}).objectives == (DPO(weights=Uncertainty()),)


def test_parts_within_parts_come_back_from_plain_values():
    negative = {"name": "mixture", "of": ["crop", {"name": "blur"}, {"name": "token_mask", "share": 0.3}], "weights": [3, 1, "1e-1"]}
    run = made(objectives=[UNCERTAIN, "conditional"], hard_negative=negative, noise={"step": 700})
    assert run.hard_negative == Mixture(of=(Crop(), Blur(), TokenMask(share=0.3)), weights=(3.0, 1.0, 0.1))
    assert run.objectives[0] == DPO(weights=Uncertainty(alpha=0.2)) and run.noise == Noise(step=700)
    written = plain(run)
    assert written["objectives"][0]["weights"]["name"] == "uncertainty" and written["hard_negative"]["of"][2]["name"] == "token_mask"
    assert settings_of(written) == run


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"objectives": [{"name": "dpo", "weights": "uncertanty"}], "noise": {}}, "did you mean 'uncertainty'?"),
        ({"objectives": [{"name": "dpo", "weights": {"name": "uncertainty", "alhpa": 1}}], "noise": {}}, "alpha"),
        ({"objectives": ["conditional"], "hard_negative": {"name": "mixture", "of": ["corp"]}}, "hard_negative: of.0 has no known name"),
        ({"objectives": [UNCERTAIN]}, "set noise, for example {step: 500}"),
        ({"objectives": ["dpo"], "noise": {}}, "noise is set, but no term"),
        ({"objectives": [UNCERTAIN], "noise": {"step": 1000}}, "step 1000 of 1000"),
        (
            {
                "objectives": [{"name": "dpo", "weights": {"name": "uncertainty", "scope": "batch"}}],
                "noise": {},
                "batch": {"pairs": 4, "accumulation": 2},
            },
            "compares the pairs of the whole batch",
        ),
        ({"objectives": ["no_such_module:Term"]}, "cannot be imported"),
        ({"objectives": ["math:sqrt"]}, "is no settings class"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_mistakes_are_refused_with_their_place(changes, expected):
    with pytest.raises(ConfigError) as caught:
        made(**changes)
    assert expected in str(caught.value)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own on the Python path."""
    write_own_parts(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_parts", raising=False)


def test_a_class_of_the_user_s_own_by_its_import_path(own):
    run = made(objectives=[{"name": "my_parts:Squared", "margin": 2}], hard_negative="my_parts:Mirror")
    assert run.objectives[0].margin == 2.0 and run.objectives[0].label == "squared"
    written = plain(run)
    assert written["objectives"][0]["name"] == "my_parts:Squared"
    assert written["hard_negative"] == {"name": "my_parts:Mirror", "upside_down": False}
    assert settings_of(written) == run


def write_run(folder, **changes):
    import yaml

    (folder / "objectives").mkdir()
    (folder / "objectives" / "mine.yaml").write_text(yaml.safe_dump({"objectives": [UNCERTAIN, "conditional"], "noise": {"step": 100},
                                                                     "hard_negative": "crop"}))  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump({**RUN, **changes}))
    return folder / "run.yaml"


def test_a_preset_by_name_by_path_and_as_an_override(tmp_path):
    path = write_run(tmp_path, objectives="mine")
    run = read_settings(path)
    assert (run.objectives[0].weights.alpha, run.noise.step, run.hard_negative) == (0.2, 100, Crop())
    changed = read_settings(path, ["noise.step=7", "objectives.0.beta=0.5", "hard_negative=blur"])
    assert (changed.noise.step, changed.objectives[0].beta, changed.hard_negative) == (7, 0.5, Blur())
    (tmp_path / "plain.yaml").write_text("model: {path: m}\ndata: {path: d}\nout: o\nsteps: 1\nobjectives: [dpo]\nhard_negative: null\n")
    for place in (f"{tmp_path}/objectives/mine.yaml", "objectives/mine.yaml"):  # from here, and from the run's file
        assert read_settings(tmp_path / "plain.yaml", [f"objectives={place}"]) == run


def test_what_objectives_names_comes_before_the_other_overrides(tmp_path):
    """Else the noise of the file's own preset would stand, and nothing would read it."""
    path = write_run(tmp_path, objectives="mine")
    (tmp_path / "objectives" / "other.yaml").write_text("objectives: [conditional]\nhard_negative: crop\n")
    run = read_settings(path, ["hard_negative=blur", "objectives=other"])
    assert (run.hard_negative, run.noise, run.objectives[0].label) == (Blur(), None, "conditional")


def test_a_preset_that_is_not_there_or_says_too_much(tmp_path):
    path = write_run(tmp_path, objectives="mien")
    with pytest.raises(ConfigError, match=r"(?s)no objectives of the name 'mien'.*mine"):
        read_settings(path)
    (tmp_path / "objectives" / "mine.yaml").write_text("objectives: [dpo]\nepochs: 3\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml holds epochs"):
        read_settings(path, ["objectives=mine"])


def test_the_presets_that_come_with_the_program_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert made(objectives="ue_dpo").objectives == (DPO(weights=Uncertainty(alpha=0.3, tau=0.4)),)
