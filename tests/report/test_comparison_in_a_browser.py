"""The page of `report` as a reader meets it: in Chromium, with mouse and keyboard, light and dark, on a phone."""

import re

import pytest
from browser import needs_browser
from reported import described, pope, pope_data, run

from jax_mdpo.evaluation import bootstrap
from jax_mdpo.recipe.reporting import report

pytestmark = needs_browser
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)> a cat & </script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two seeds of one label and one of another, with a long and a hostile name, and answers that are hostile too."""
    folder = tmp_path_factory.mktemp("reported")
    data = pope_data(folder / "data")
    sources = []
    for label, seeds in (("base <i>model</i>", 1), ("a-label-that-is-much-too-long-for-any-table-of-figures", 2)):
        for seed in range(seeds):
            made = run(folder / f"run-{len(sources)}", seed=seed, loss=lambda step, seed=seed: (seed + 2) / step)
            pope(made / "eval", data, lambda place, label=label: label[0] == "b" and place % 4 == 0, said={1: HOSTILE})
            described(made / "chair", [(HOSTILE, [["cat", "cat"]] * (label[0] == "b"))] * 3)
            sources.append(f"{label}={made}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "READ_AT_MOST", 0)  # the fewest samples
        return report(sources, folder / "page.html", images=data.parent / "images")


@pytest.fixture
def tab(window, page):
    window.size(1280, 900)
    window.media()
    window.open(page)
    yield window
    assert window.complaints == []
    assert {address.split(":")[0] for address in window.requests} == {"file", "data"}


def test_what_models_say_is_text(tab):
    assert tab.run("document.title") == "Comparison"
    said = tab.run("[...document.querySelectorAll('.samples .answer p')].map(p => p.textContent.replaceAll('✗', ''))")
    assert HOSTILE in said
    assert tab.run("document.querySelectorAll('.samples img:not([src^=\"data:\"]), .samples script, .legend i').length") == 0
    assert tab.run("[...document.querySelectorAll('mark')].map(m => m.firstChild.data)") == ["cat"] * 3


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_the_page_is_never_wider_than_the_window(tab, width):
    tab.size(width, 800, phone=width < 800)
    tab.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("[...document.querySelectorAll('.figures')].some(t => t.scrollWidth > t.parentElement.clientWidth)") == (width <= 800)


def test_pointing_at_a_chart_shows_its_values(tab):
    assert tab.run("document.getElementById('values').hidden")
    tab.hover(".chart")
    rows = shown(tab)
    step = int(re.search(r"\d+", tab.run("document.querySelector('#values div').textContent"))[0])
    assert [float(row[1]) for row in rows] == [pytest.approx(2 / step, rel=1e-3), pytest.approx(2.5 / step, rel=1e-3)]
    assert [float(text) for text in rows[1][2].split(" to ")] == [pytest.approx(2 / step, rel=1e-3), pytest.approx(3 / step, rel=1e-3)]


def test_a_tap_shows_values_until_the_next_one_elsewhere(tab):
    tab.size(390, 800, phone=True)
    for selector, hidden in ((".chart", False), ("#curves h2", True)):
        tab.run(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        box = tab.run(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        tab.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[at])
        tab.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        assert tab.run("document.getElementById('values').hidden") is hidden


def test_the_keyboard_walks_along_a_chart(tab):
    tab.run("document.querySelector('.chart').focus()")
    for key, step in (("End", 40), ("ArrowLeft", 39), ("Home", 1), ("ArrowRight", 2)):
        tab.press(key)
        assert tab.run("document.querySelector('#values div').textContent") == f"step {step}"
        assert float(shown(tab)[0][1]) == pytest.approx(2 / step, rel=1e-3)
    tab.press("Escape")
    assert tab.run("document.getElementById('values').hidden")


def test_a_label_takes_its_lines_out_of_the_charts_and_puts_them_back(tab):
    visible = "[...document.querySelectorAll('.chart g[data-subject]')].filter(g => g.getClientRects().length).map(g => g.dataset.subject)"
    button = "document.querySelectorAll('.legend button')[0]"
    everything = tab.run(visible)
    assert set(everything) == {"0", "1"}
    for pressed, there in (("false", [subject for subject in everything if subject != "0"]), ("true", everything)):
        tab.run(f"{button}.click()")
        assert tab.run(f"{button}.getAttribute('aria-pressed')") == pressed
        assert tab.run(visible) == there
        tab.run("document.querySelector('.chart').focus()")
        tab.press("Home")
        assert len(shown(tab)) == len(set(there))
        tab.press("Escape")


def test_with_all_lines_taken_away_a_chart_shows_no_values(tab):
    tab.run("document.querySelectorAll('.legend button').forEach(button => button.click())")
    tab.hover(".chart")
    tab.press("End")
    assert tab.run("document.getElementById('values').hidden")


def shown(tab) -> list[list[str]]:
    return tab.run("[...document.querySelectorAll('#values tr')].map(row => [...row.cells].map(cell => cell.textContent))")


def brightness(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3]))


def test_the_reader_s_colour_scheme_is_kept(tab):
    ground = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('.chart polyline')).stroke"
    light, light_line = tab.run(ground), tab.run(line)
    tab.media(scheme="dark")
    assert brightness(tab.run(ground)) < 100 < 600 < brightness(light)
    assert brightness(tab.run(line)) > brightness(light_line) + 100


def test_labels_differ_in_more_than_colour(tab):
    found = tab.run(
        "[...document.querySelectorAll('.legend line')].map(l => [getComputedStyle(l).stroke, getComputedStyle(l).strokeDasharray])"
    )
    colours, dashes = zip(*found, strict=True)
    assert len(set(colours)) == len(set(dashes)) == 2


def test_on_paper_tables_are_not_cut_off(tab):
    tab.size(720, 1000)  # A4 between its margins
    tab.media(kind="print")
    assert tab.run("[...document.querySelectorAll('.figures')].every(t => t.getBoundingClientRect().right <= 720)")
    assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
