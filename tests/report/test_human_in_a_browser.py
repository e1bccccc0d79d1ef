"""The blind page as a judge meets it: in Chromium, by mouse, keyboard and touch; what is downloaded is what was judged."""

import json
import time

import pytest
from browser import needs_browser
from evaluated_twice import write_both

from jax_mdpo.recipe.human import human_page, judge_by_humans, key_of

pytestmark = needs_browser
COUNT = 5


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    first, second, images = write_both(folder, COUNT)
    return human_page(first, second, folder / "page.html", images=images)


@pytest.fixture
def tab(window, page):
    """The page as a new judge opens it."""
    window.size(1280, 900)
    window.media()
    window.open(page)
    window.run("localStorage.clear()")
    window.open(page)
    yield window
    assert window.complaints == []
    assert {address.split(":")[0] for address in window.requests} <= {"file", "data", "blob"}


def shown(tab) -> list[str]:
    """The items that are visible."""
    return tab.run("[...document.querySelectorAll('article')].filter(a => a.offsetParent).map(a => a.dataset.item)")


def pressed(tab) -> dict[str, str]:
    """Which button of which item is pressed."""
    found = tab.run("[...document.querySelectorAll('[aria-pressed=true]')].map(b => [b.closest('article').dataset.item, b.dataset.choice])")
    return dict(found)


def progress(tab) -> str:
    return tab.run("document.getElementById('progress').textContent")


def downloaded(tab, folder) -> dict:
    """The file that the download button gives."""
    folder.mkdir()
    tab.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    tab.click("#download")
    for _ in range(200):
        found = [path for path in folder.iterdir() if path.suffix == ".json"]
        if found:
            return {"name": found[0].name, "path": found[0], **json.loads(found[0].read_text(encoding="utf-8"))}
        time.sleep(0.05)
    raise AssertionError("nothing was downloaded")


def test_one_item_at_a_time_and_nothing_judged(tab):
    assert shown(tab) == ["1"] and pressed(tab) == {} and progress(tab) == f"0 of {COUNT} judged"
    assert tab.run("document.getElementById('download').disabled")
    assert "<b>a plain scene</b>" in tab.run("document.body.textContent"), "answers are texts"
    assert tab.run("[...document.images].every(image => image.complete && image.naturalWidth > 100)")


def test_clicks_judge_and_go_on(tab):
    for number, choice in enumerate(("A", "tie", "B"), start=1):
        tab.click(f"article.shown [data-choice={choice}]")
        assert shown(tab) == [str(number + 1)]
    assert pressed(tab) == {"1": "A", "2": "tie", "3": "B"} and progress(tab) == f"3 of {COUNT} judged"


def test_the_keyboard_judges_goes_back_and_changes(tab):
    for key in "atB":
        tab.press(key)
    assert pressed(tab) == {"1": "A", "2": "tie", "3": "B"} and shown(tab) == ["4"]
    for key, item in (("ArrowLeft", "3"), ("ArrowLeft", "2"), ("ArrowRight", "3"), ("ArrowLeft", "2")):
        tab.press(key)
        assert shown(tab) == [item]
    tab.press("b")
    assert pressed(tab)["2"] == "B" and shown(tab) == ["2"], "a change stays where it was made"
    tab.click("#open")
    assert shown(tab) == ["4"]
    for _ in range(9):
        tab.press("ArrowRight")
    assert shown(tab) == [str(COUNT)] and tab.run("document.getElementById('on').disabled")


def test_letters_of_a_name_judge_nothing(tab):
    tab.run("document.getElementById('judge').focus()")
    for key in "bat":
        tab.press(key)
    assert pressed(tab) == {}


def test_a_reload_loses_nothing(tab, page):
    for key in "ab":
        tab.press(key)
    tab.run("(e => { e.value = 'Ann'; e.dispatchEvent(new Event('input')) })(document.getElementById('judge'))")
    tab.open(page)
    assert pressed(tab) == {"1": "A", "2": "B"} and shown(tab) == ["3"], "where the judge had come to"
    assert tab.run("document.getElementById('judge').value") == "Ann" and progress(tab) == f"2 of {COUNT} judged"


def test_what_is_downloaded_is_scored(tab, page, tmp_path):
    for key in "abtab":
        tab.press(key)
    assert progress(tab).startswith(f"all {COUNT} judged")
    tab.run("(e => { e.value = 'Ann Ü.'; e.dispatchEvent(new Event('input')) })(document.getElementById('judge'))")
    found = downloaded(tab, tmp_path / "downloads")
    key = json.loads(key_of(page).read_text(encoding="utf-8"))
    made = dict(zip("12345", ("A", "B", "tie", "A", "B"), strict=True))
    assert (found["page"], found["judge"], found["judgements"]) == (key["page"], "Ann Ü.", made)
    assert found["name"] == f"judgements_{key['page'][:8]}_Ann_Ü_.json"
    figures = judge_by_humans([found["path"]], key_of(page), tmp_path / "out")["figures"]["judge Ann Ü."]
    wins = sum(made[item] not in ("tie", one["first"]) for item, one in key["items"].items())
    assert (figures["Wins"], figures["Ties"], figures["Losses"]) == (wins, 1, 4 - wins)


def test_a_file_of_some_judgements_without_a_name(tab, tmp_path):
    tab.press("ArrowRight")
    tab.press("t")
    found = downloaded(tab, tmp_path / "downloads")
    assert found["judgements"] == {"2": "tie"} and "judge" not in found and "anonymous" in found["name"]


@pytest.mark.parametrize("width", [320, 390, 800])
def test_nothing_is_wider_than_a_phone(tab, width):
    tab.size(width, 700, phone=True)
    assert tab.run("document.documentElement.scrollWidth") <= width
    tab.click("article.shown [data-choice=B]")
    assert pressed(tab) == {"1": "B"}


def test_print_shows_every_item_on_white(tab):
    tab.media(scheme="dark", kind="print")
    assert shown(tab) == [str(number) for number in range(1, COUNT + 1)]
    assert tab.run("getComputedStyle(document.querySelector('article p')).color") == "rgb(28, 33, 38)"  # the palette's text on white


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_buttons_are_legible(tab, scheme):
    """WCAG's contrast of at least 4.5 : 1 (success criterion 1.4.3), pressed or not."""
    tab.media(scheme=scheme)
    tab.press("a")
    tab.press("ArrowLeft")
    styles = "[...document.querySelectorAll('article.shown button, #download')].map(button => getComputedStyle(button))"
    for colours in tab.run(f"{styles}.map(style => [style.color, style.backgroundColor])"):
        darker, lighter = sorted(map(luminance, colours))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5
