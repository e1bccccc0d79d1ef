"""Published figures stand under the columns of our own reports, and beside the configurations that are to reach them."""

from pathlib import Path

import pytest

from jax_mdpo.evaluation.benchmarks.protocol import Item, Question
from jax_mdpo.evaluation.benchmarks.registry import BENCHMARKS
from jax_mdpo.report.published import Published, benchmarks, published

PAPERS = Path(__file__).parents[2] / "configs" / "papers"
UNREPORTED = {f"ue_dpo/{model}_{data}" for model in ("llava15_13b", "qwen25_vl_3b") for data in ("rlhf_v", "rlaif_v")}  # held nowhere here


def item(part: str, **reading) -> Item:
    return Item(Question(0, "", "", part), "", reading)


DESCRIBED = {"nouns": ["cat"], "hallucinated": [], "covered": 1, "truth": 1, "confused": 0, "hallu": 1}
ASKED = {"truth": "no", "said": "No", "correct": True}
MENTIONED = {"hallucinated": [], "correct": [["cat", "cat"]], "present": ["cat"], "length": 1}
ITEMS = {  # the least that a benchmark reports on
    "mmhal": [item("mmhal", type="other", rating=3, clear=True, judge="judge")],
    "object-halbench": [item("object_halbench", **MENTIONED)],
    "amber": [
        item("generative", **DESCRIBED),
        *(item("discriminative-attribute", kind=kind, **ASKED) for kind in ("State", "Number", "Action")),
        item("discriminative-existence", kind="Existence", **ASKED),
        item("discriminative-relation", kind="Relation", **ASKED),
    ],
}


def rows() -> list[Published]:
    return [row for benchmark in benchmarks() for row in published(benchmark)]


def test_every_column_is_one_of_the_benchmark_s_report():
    assert set(benchmarks()) == set(ITEMS) <= set(BENCHMARKS)
    for benchmark in benchmarks():
        report = BENCHMARKS[benchmark]().report(ITEMS[benchmark])
        columns = {column for figures in report.rows.values() for column in figures}
        assert {column for row in published(benchmark) for column in row.figures} <= columns


def test_every_row_that_is_a_run_has_its_configuration_and_the_other_way_round():
    configs = {str(path.relative_to(PAPERS).with_suffix("")) for path in PAPERS.rglob("*.yaml")}
    assert {row.config for row in rows() if row.config} == configs - UNREPORTED
    assert configs >= UNREPORTED
    assert {row.method for row in rows() if row.config is None} == {"base"}


@pytest.mark.parametrize("benchmark", ["mmhal", "object-halbench", "amber"])
def test_a_configuration_stands_once(benchmark):
    names = [row.config for row in published(benchmark) if row.config]
    assert len(names) == len(set(names)) > 0


def test_figures_of_the_papers():
    """Table 1 of mDPO, and UE-DPO's figures, each once by hand."""
    by_config = {(benchmark, row.config): row.figures for benchmark in benchmarks() for row in published(benchmark)}
    assert by_config["mmhal", "mdpo/bunny_3b_mdpo"] == {"Score": 2.96, "HalRate": 0.42}
    assert by_config["object-halbench", "mdpo/bunny_3b_mdpo"] == {"CHAIRs": 27.0, "CHAIRi": 4.6}
    assert by_config["amber", "mdpo/llava15_7b_mdpo"] == {"CHAIR": 4.4, "Cover": 52.4, "Hal": 24.5, "Cog": 2.4}
    assert by_config["amber", "ue_dpo/llava15_7b_rlaif_v"] == {"CHAIR": 2.5, "F1": 87.0}
    assert by_config["amber", "ue_dpo/llava15_7b_rlhf_v_chosen"] == {"CHAIR": 2.8}


def test_nothing_is_published_of_a_benchmark_that_no_table_has():
    assert published("pope") == ()
