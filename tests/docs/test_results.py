"""The tables of results in the documents say what the committed studies came to."""

import json
import re
from pathlib import Path
from statistics import fmean

import pytest

REPOSITORY = Path(__file__).parents[2]
STUDIES = sorted((REPOSITORY / "docs" / "results").glob("*/results.json"))
README = {
    "Object F1 ↑": "captions/all/Object F1",
    "Coverage ↑": "captions/all/Coverage",
    "CHAIRs ↓": "captions/all/CHAIRs",
    "Malformed ↓": "captions/all/Malformed",
    "prefers rightly, with the image": "held_out/implicit reward/Accuracy",
    "with a blank one": "held_out/implicit reward/Blank",
}


def rows_of(text: str) -> dict[str, list[str]]:
    """Of the tables in Markdown: their lines' cells by what stands in the first one."""
    lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines}


def said(values: list[float], decimals: int) -> str:
    if not values:
        return "–"
    mean = f"{fmean(values):.{decimals}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{decimals}f}–{max(values):.{decimals}f})"


def figures(study: Path) -> dict[str, list[dict[str, float]]]:
    """By run, of each cell."""
    found: dict[str, list[dict[str, float]]] = {}
    for cell in json.loads(study.read_text()):
        found.setdefault(cell["run"], []).append(cell["figures"])
    return found


def test_the_readme_s_table_is_the_main_study_s():
    text = (REPOSITORY / "README.md").read_text()
    head = next(line for line in text.splitlines() if all(column in line for column in README))
    assert [cell.strip() for cell in head.split("|")[2:-1]] == list(README)
    rows = rows_of(text)
    runs = figures(REPOSITORY / "docs" / "results" / "scenes_main" / "results.json")
    for run, cells in runs.items():
        assert rows[run] == [said([cell[name] for cell in cells if name in cell], 1) for name in README.values()]


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.parent.name)
def test_a_study_s_page_holds_its_table(study):
    page = study.parent.with_suffix(".md").read_text()
    assert (study.parent / "table.md").read_text() in page
    assert (study.parent / "report.html").is_file()
