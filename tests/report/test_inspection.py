"""The page of `inspect` without a browser: sums, scales and text."""

import math
import re

import numpy as np
import pytest
from report.inspections import BETA, drawn, make_page
from report.test_contact_sheet import Page

from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.report.inspection import number, write_inspection
from jax_mdpo.report.quantities import QUANTITIES
from jax_mdpo.report.rewards import Rewards

ONE = {"logp": (-1.0, -2.0), "log_ratio": (0.5, 0.25), "drop": (1.0, 0.5), "preference": (0.75, 1.0), "weight": (1.0, 1.2)}
OTHER = {"logp": (-4.0,), "log_ratio": (-0.5,), "drop": (0.5,), "preference": (-0.25,), "weight": (0.8,)}


def test_rewards_and_margins():
    losses = {"dpo": 0.1, "anchored": 0.2, "conditional": 0.3, "ue_dpo": 0.4}
    rewards = Rewards.of(ONE, OTHER, losses, 0.5)
    assert [(row.answer, row.image, row.value) for row in rewards.rows] == [
        ("chosen", "image", 0.5 * 0.75),
        ("rejected", "image", 0.5 * -0.5),
        ("chosen", "hard negative", 0.5 * (0.75 - 1.75)),
        ("rejected", "hard negative", 0.5 * (-0.5 + 0.25)),
    ]
    # the bars reach from −0.5 to 0.375
    assert rewards.zero == pytest.approx(0.5 / 0.875)
    assert (rewards.rows[1].start, rewards.rows[1].length) == pytest.approx((0.25 / 0.875, 0.25 / 0.875))
    margins = {margin.key: (margin.value, margin.loss) for margin in rewards.margins}
    assert margins["dpo"] == (0.5 * 1.25, 0.1)
    assert margins["anchored"] == (0.5 * 0.75, 0.2)
    assert margins["conditional"] == (0.5 * 1.75, 0.3)
    weighted = (-1.0 + 1.5) + (1.2 * -2.0 + 2.25) - (0.8 * -4.0 + 3.5)
    assert margins["ue_dpo"] == (pytest.approx(0.5 * weighted), 0.4)


def test_without_an_adapter_log_probs_are_summed():
    chosen, rejected = ({key: of[key] for key in ("logp", "drop")} for of in (ONE, OTHER))
    rewards = Rewards.of(chosen, rejected, {}, 0.5)
    assert not rewards.adapted and [row.value for row in rewards.rows] == [-3.0, -4.0, -4.5, -4.5]
    assert [(margin.value, margin.loss) for margin in rewards.margins] == [(1.0, None), (1.5, None)]
    assert rewards.zero == 1.0


def test_without_an_image_nothing_is_said_of_one():
    chosen, rejected = ({key: of[key] for key in ("logp", "log_ratio")} for of in (ONE, OTHER))
    rewards = Rewards.of(chosen, rejected, {"dpo": 0.1, "anchored": 0.2}, 0.5)
    assert [row.image for row in rewards.rows] == ["image", "image"]
    assert [margin.key for margin in rewards.margins] == ["dpo", "anchored"]


def test_a_scale_leaves_outliers_beyond_its_ends():
    ratio, weight = (next(one for one in QUANTITIES if one.key == key) for key in ("log_ratio", "weight"))
    values = [0.01 * place for place in range(-50, 51)]
    assert ratio.extent(values) == pytest.approx(np.quantile(np.abs(values), 0.95))
    assert ratio.extent([*values, 1000.0]) < 1.0
    assert ratio.extent([0.0, 0.0]) == 1.0
    assert weight.extent([1.0, 1.3]) == 0.5


def test_numbers_have_true_minus_signs():
    assert [number(-0.25), number(2 / 3), number(0.5, sign=True)] == ["−0.2500", "0.6667", "+0.5000"]


def test_the_page_stands_alone_and_escapes_everything(tmp_path):
    page = make_page(drawn(), Uncertainty())
    write_inspection(page, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:)', text) and "@import" not in text and "url(" not in text
    assert "default-src 'none'" in text
    assert text.count("</script>") == 2  # the numbers and the program
    found = Page(re.sub(r"<svg.*?</svg>|<input[^>]*>|<br>", "", text, flags=re.DOTALL))
    assert not found.tags & {"b", "i", "s", "tiny"} - {"b"}
    assert len(found.images) == 3
    assert "left: 12.500%; width: 50.000%; top: 25.000%; height: 50.000%" in text
    assert f"crop, {100 * 28 * 28 / 56 / 56:.1f} % of the image" in text
    assert str(BETA) in text and math.isclose(page.images[1].share, 0.25)
