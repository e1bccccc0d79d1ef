"""docs/objectives.md names the settings that there are, and the losses and divergences with them."""

import dataclasses
import re
from pathlib import Path

import pytest

from jax_mdpo.objectives.links import LINKS
from jax_mdpo.objectives.losses import LOSSES
from jax_mdpo.objectives.pointwise import KINDS
from jax_mdpo.objectives.registry import TERMS, WEIGHTINGS

PAGE = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text(encoding="utf-8")
ROWS = {
    cells[1].strip(" `"): cells[3]
    for line in PAGE.splitlines()
    if line.startswith("| `") and len(cells := re.split(r"(?<!\\)\|", line)) == 6  # name, what it is, settings, source
}
PARTS = {**TERMS, **WEIGHTINGS}


@pytest.mark.parametrize("name", sorted(PARTS.keys() & ROWS.keys()))
def test_a_row_names_all_settings_with_their_defaults(name: str):
    told = dict(re.findall(r"`(\w+)(?:: ([^`]+))?`", ROWS[name]))
    fields = {field.name: field.default for field in dataclasses.fields(PARTS[name]) if field.name != "weight"}
    assert fields.keys() <= told.keys()
    defaults = {setting: default for setting, default in told.items() if default}
    assert defaults.keys() <= fields.keys()
    for setting, default in fields.items():
        if setting in defaults:
            assert defaults[setting].lower() == str(default).lower() or float(defaults[setting]) == default
        else:
            assert default in (None, dataclasses.MISSING)


@pytest.mark.parametrize("names", [LOSSES, LINKS, KINDS])
def test_losses_and_divergences_have_rows(names: dict):
    assert names.keys() <= ROWS.keys()
