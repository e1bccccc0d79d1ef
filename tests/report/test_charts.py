"""Lines where their values say, and round ticks."""

import pytest

from jax_mdpo.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Chart, Curve


def test_the_ends_of_a_curve_are_the_corners_of_the_chart():
    curve = Curve(0, [0, 50, 100], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    middle = f"{(LEFT + WIDTH - RIGHT) / 2:g},{(TOP + HEIGHT - BOTTOM) / 2:g}"
    assert Chart("loss", (curve,), 100).line(curve) == f"{LEFT},{HEIGHT - BOTTOM} {middle} {WIDTH - RIGHT},{TOP}"


def test_a_band_goes_along_the_highest_and_back_along_the_lowest():
    curve = Curve(0, [0, 100], [2.0, 2.0], [1.0, 1.0], [3.0, 3.0], 2)
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    assert Chart("loss", (curve,), 100).band(curve) == f"{left},{top} {right},{top} {right},{bottom} {left},{bottom}"


def test_a_share_s_axis_shows_all_shares():
    curve = Curve(0, [1, 2], [0.5, 0.6], [0.5, 0.6], [0.5, 0.6])
    assert [text for _, text in Chart("accuracy", (curve,), 2, share=True).up.ticks] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 300, ["0", "100", "200", "300"]),
        (-0.7, 1.1, ["−0.5", "0.0", "0.5", "1.0"]),
        (0, 1e-5, ["0", "2e−6", "4e−6", "6e−6", "8e−6", "1e−5"]),
        (0, 1_000_000, ["0", "200k", "400k", "600k", "800k", "1000k"]),
        (0.640, 0.695, ["0.64", "0.66", "0.68"]),
    ],
)
def test_ticks_are_round(low, high, texts):
    assert [text for _, text in Axis(low, high, 0, 100).ticks] == texts


def test_a_constant_stands_in_the_middle():
    assert Axis.of([5.0, 5.0], 0, 100).place(5.0) == 50.0
    assert Axis.of([0.0], 0, 100).place(0.0) == 50.0
