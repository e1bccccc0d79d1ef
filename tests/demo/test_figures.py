"""The demo's figures, its clock, and where it writes."""

import pytest

from jax_mdpo.core.errors import RunError
from jax_mdpo.demo.run import SUMMARY, figures_of, run_demo
from jax_mdpo.demo.stages import Stages


def row(before: tuple[float, float, float], after: tuple[float, float, float], reward: float) -> dict:
    names = ("chosen_logp", "rejected_logp", "negative_logp")
    reference = {f"ref_{name}": value for name, value in zip(names, before, strict=True)}
    return {**reference, **dict(zip(names, after, strict=True)), "chosen_reward": reward}


def test_shares_count_pairs_and_rewards_are_means():
    scores = [
        row(before=(-2.0, -1.0, -1.0), after=(-1.0, -2.0, -2.0), reward=1.0),
        row(before=(-1.0, -2.0, -0.5), after=(-1.0, -2.0, -0.5), reward=0.5),
    ]
    figures = figures_of(scores)
    assert figures.truth == (1 / 2, 2 / 2)
    assert figures.sight == (0 / 2, 1 / 2)
    assert figures.reward == (0.0, (1.0 + 0.5) / 2)
    assert "50% → 100%" in str(figures)
    assert "0% → 50%" in str(figures)


def test_a_tie_prefers_nothing():
    assert figures_of([row((-1.0, -1.0, -1.0), (-1.0, -1.0, -1.0), 0.0)]).truth == (0.0, 0.0)


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(RunError, match=r"other files.*\n.*--out FOLDER"):
        run_demo(tmp_path)
    (tmp_path / SUMMARY).touch()
    with pytest.raises(RunError, match="an earlier demo"):
        run_demo(tmp_path)


def test_stages_are_kept_in_order_with_rising_memory():
    stages = Stages()
    for name in ("first", "second"):
        with stages(name):
            pass
    rows = stages.rows()
    assert [r["stage"] for r in rows] == ["first", "second"]
    assert 0 < rows[0]["peak_bytes"] <= rows[1]["peak_bytes"]
    assert all(r["seconds"] >= 0 for r in rows)
    assert stages.table().row_count == 3  # and the total
