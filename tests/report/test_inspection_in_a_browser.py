"""The page of `inspect` as a reader meets it: in Chromium, with mouse and keyboard, light and dark, on a phone."""

import re

import numpy as np
import pytest
from browser import needs_browser
from report.inspections import PIECES, drawn, loss, make_page, weights

from jax_mdpo.core.views import CHOSEN, REJECTED
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.report.inspection import write_inspection

pytestmark = needs_browser
SHOWN = 6e-5  # values are shown with four decimals
GIVEN = Uncertainty(alpha=0.25, tau=0.33)


@pytest.fixture(scope="module")
def values():
    return drawn()


@pytest.fixture(scope="module")
def page(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_inspection(make_page(values, GIVEN), path)
    return path


@pytest.fixture
def tab(window, page):
    window.size(1280, 900)
    window.media()
    window.open(page)
    yield window
    assert window.complaints == []
    assert {address.split(":")[0] for address in window.requests} == {"file", "data"}


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def shown(tab) -> dict[str, float]:
    """What the tip says of a token, by quantity; nothing where there is no tip."""
    found = tab.run("[...document.querySelectorAll('#values:not([hidden]) tr')].map(r => [r.dataset.quantity, r.cells[1].textContent])")
    return {key: number(text) for key, text in found}


def backgrounds(tab, answer: str) -> np.ndarray:
    """The colour behind each token, from 0 to 1."""
    found = tab.run(f"[...document.querySelectorAll('.{answer} .token')].map(t => getComputedStyle(t).backgroundColor)")
    return np.array([channels(text) for text in found])


def channels(colour: str) -> list[float]:
    """Of "rgb(1, 2, 3)" or "color(srgb 0.1 0.2 0.3)"."""
    values = [float(text) for text in re.findall(r"[\d.]+", colour)][:3]
    return values if colour.startswith("color") else [value / 255 for value in values]


def slide(tab, **to: float) -> None:
    for name, value in to.items():
        tab.run(f"(e => {{ e.value = {value}; e.dispatchEvent(new Event('input')) }})(document.getElementById('{name}'))")


def weights_in_the_tables(tab) -> list[list[float]]:
    return [
        [number(text) for text in tab.run(f"[...document.querySelectorAll('{cells}')].map(cell => cell.textContent)")]
        for cells in (f'table[data-answer="{place}"] [data-quantity=weight]' for place in (0, 1))
    ]


def test_texts_stand_as_they_are(tab):
    for name in (CHOSEN, REJECTED):
        texts = tab.run(f"[...document.querySelectorAll('.{name} .token')].map(t => t.textContent)")
        assert tuple(texts) == tuple(piece or "◌" for piece in PIECES[name])
    assert tab.run("document.querySelector('h1').textContent") == "pair <1> & 'two'"
    assert tab.run("document.querySelector('.prompt p').textContent") == "<s> USER: <image>\nWhat </script> is it? ASSISTANT:"


def test_the_mouse_shows_a_token_s_values(tab, values):
    assert shown(tab) == {}
    tab.hover(".rejected .token:nth-child(4)")
    expected = {key: of_tokens[3] for key, of_tokens in {**values[REJECTED], "weight": weights(values, GIVEN)[REJECTED]}.items()}
    assert shown(tab) == pytest.approx(expected, abs=SHOWN)
    assert "<i>3" in tab.run("document.getElementById('values').textContent")
    tab.hover("h1")
    assert shown(tab) == {}


def test_the_keyboard_goes_from_token_to_token(tab, values):
    tab.run("document.querySelector('.chosen .token').focus()")
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", len(PIECES[CHOSEN]) - 1), ("Home", 0)):
        tab.press(key)
        assert shown(tab)["logp"] == pytest.approx(values[CHOSEN]["logp"][place], abs=SHOWN)
        assert tab.run("document.activeElement.getAttribute('aria-describedby')") == "values"
    tab.press("Tab")  # one stop for each answer
    assert shown(tab)["logp"] == pytest.approx(values[REJECTED]["logp"][0], abs=SHOWN)
    tab.press("Escape")
    assert shown(tab) == {}


def test_the_tip_stays_with_its_token_and_inside_the_window(tab):
    tab.size(1280, 420)
    tab.run("document.querySelector('.rejected .token:last-child').focus()")
    tab.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert shown(tab)
    tip = tab.run("document.getElementById('values').getBoundingClientRect().toJSON()")
    assert tip["left"] >= 0 and tip["right"] <= 1280 and tip["top"] >= 0 and tip["bottom"] <= 420


@pytest.mark.parametrize("key", ["log_ratio", "sensitivity", "uncertainty", "weight"])
def test_a_quantity_colours_the_tokens(tab, values, key):
    before = backgrounds(tab, CHOSEN)
    tab.click(f"input[value={key}] + span")
    after = backgrounds(tab, CHOSEN)
    assert key == "log_ratio" or np.abs(after - before).max() > 0.05
    of_tokens = {**values[CHOSEN], "weight": weights(values, GIVEN)[CHOSEN] - 1}[key]
    green, purple = after[:, 1] - after[:, 0], after[:, 0] - after[:, 1]
    assert (green[of_tokens > 0.2] > 0).all() and (purple[of_tokens < -0.2] > 0).all()
    order = np.argsort(of_tokens)
    assert (np.diff(green[order]) >= -1e-3).all()
    assert tab.run("document.getElementById('means').textContent")


@pytest.mark.parametrize(("alpha", "tau"), [(0.25, 0.33), (0.3, 0.4), (1.0, 0.5), (0.0, 0.4), (0.15, 0.0), (0.5, 1.0), (0.3, 0.05)])
def test_the_sliders_weigh_as_the_objective_does(tab, values, alpha, tau):
    if (alpha, tau) != (0.25, 0.33):  # as given: no slider was touched
        slide(tab, alpha=alpha, tau=tau)
    weighting = Uncertainty(alpha=alpha, tau=tau)
    expected = weights(values, weighting)
    for found, name in zip(weights_in_the_tables(tab), (CHOSEN, REJECTED), strict=True):
        np.testing.assert_allclose(found, expected[name], atol=SHOWN)
        if alpha:  # then a weight tells whether its token is selected
            marked = tab.run(f"[...document.querySelectorAll('.{name} .token')].map(t => t.classList.contains('selected'))")
            assert marked == (expected[name] != 1).tolist()
    found = number(tab.run("document.querySelector('[data-term=ue_dpo] .loss').textContent"))
    assert found == pytest.approx(loss(values, weighting), abs=1e-4)


def test_a_slider_recolours_and_can_be_taken_back(tab, values):
    tab.click("input[value=weight] + span")
    before = backgrounds(tab, CHOSEN)
    slide(tab, alpha=0.9)
    assert np.abs(backgrounds(tab, CHOSEN) - before).max() > 0.1
    tab.click("#reset")
    assert np.array_equal(backgrounds(tab, CHOSEN), before)
    np.testing.assert_allclose(weights_in_the_tables(tab)[1], weights(values, GIVEN)[REJECTED], atol=SHOWN)


def luminance(colour: np.ndarray) -> np.ndarray:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_token_is_legible(tab, scheme):
    """WCAG's contrast of at least 4.5 : 1 (success criterion 1.4.3)."""
    tab.media(scheme=scheme)
    text = luminance(np.array(channels(tab.run("getComputedStyle(document.querySelector('.token')).color"))))
    assert (text < 0.2) == (scheme == "light")
    for key in ("log_ratio", "logp", "sensitivity"):
        tab.click(f"input[value={key}] + span")
        ground = np.concatenate([luminance(backgrounds(tab, name)) for name in (CHOSEN, REJECTED)])
        contrast = (np.maximum(text, ground) + 0.05) / (np.minimum(text, ground) + 0.05)
        assert contrast.min() >= 4.5
        assert contrast.max() > contrast.min() + 2, "colours must differ"


@pytest.mark.parametrize("width", [320, 390, 800])
def test_nothing_is_wider_than_a_phone(tab, width):
    tab.size(width, 800, phone=True)
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_pairs_of_every_kind_are_shown(window, values, tmp_path):
    """Without an image, and without an adapter."""
    for missing in ({"preference", "drop", "sensitivity", "uncertainty", "weight"}, {"preference", "log_ratio"}):
        page = make_page(values, GIVEN)
        answers = {
            answer.name: type(answer)(answer.name, answer.pieces, {k: v for k, v in answer.values.items() if k not in missing})
            for answer in page.answers
        }
        absent = {"images": (), "losses": {"dpo": 0.5, "anchored": 0.5}} if "drop" in missing else {"adapter": None, "losses": {}}
        write_inspection(make_page(values, GIVEN, **answers, **absent), tmp_path / "page.html")
        window.open(tmp_path / "page.html")
        window.run("document.querySelector('.chosen .token').focus()")
        assert set(shown(window)) == ({*values[CHOSEN], "weight"} - missing)
        assert window.complaints == []
