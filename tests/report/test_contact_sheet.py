"""Contact sheets: what a person and a browser find in them."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.errors import UserError
from jax_mdpo.report.cards import Card
from jax_mdpo.report.contact_sheet import write_sheet
from jax_mdpo.report.picture import CARD_WIDTH, CHOSEN, GAP, REJECTED

MAGENTA, CYAN = (255, 0, 255), (0, 255, 255)


def make_card(name: str = "a", **changes) -> Card:
    images = {"clean": Image.new("RGB", (56, 56), MAGENTA), "hard negative": Image.new("RGB", (56, 56), CYAN)}
    return Card(**{"id": name, "prompt": "What?", "chosen": "A dog.</s>", "rejected": "A cat.</s>", "images": images} | changes)


class Page(HTMLParser):
    """What a browser makes of the page: texts by class of their parent, images, and everything that would be fetched."""

    def __init__(self, markup: str):
        super().__init__()
        self.open: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.images: list[dict] = []
        self.tags: set[str] = set()
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "meta":
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1][1].get("class") == "text":
            self.texts.append(data)


def size_of(path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def colours(path) -> dict[tuple[int, int, int], int]:
    picture = Image.open(path).convert("RGB")
    return {colour: count for count, colour in picture.getcolors(picture.width * picture.height)}


def test_a_picture_shows_every_image_and_both_answers(tmp_path):
    write_sheet([make_card("a"), make_card("b"), make_card("c")], tmp_path / "sheet.png")
    found = colours(tmp_path / "sheet.png")
    side = (CARD_WIDTH - 2 * 28 + 20) // 2 - 20
    assert found[MAGENTA] == found[CYAN] == 3 * side * side
    for name in (CHOSEN, REJECTED):
        assert found[tuple(bytes.fromhex(name[1:]))] > 0


def test_cards_stand_in_two_columns_and_never_overlap(tmp_path):
    write_sheet([make_card(str(i), prompt="word " * 40 * i) for i in range(5)], tmp_path / "sheet.png")
    assert size_of(tmp_path / "sheet.png")[0] == 2 * CARD_WIDTH + 3 * GAP
    assert colours(tmp_path / "sheet.png")[MAGENTA] == 5 * 342 * 342


def test_a_long_text_is_cut_and_says_so(tmp_path):
    write_sheet([make_card(chosen="short"), make_card(chosen="long " * 300)], tmp_path / "short.png")
    write_sheet([make_card(chosen="short"), make_card(chosen="long " * 3000)], tmp_path / "long.png")
    (_, short), (_, long) = size_of(tmp_path / "short.png"), size_of(tmp_path / "long.png")
    assert short == long  # both are cut
    write_sheet([make_card(chosen="short")], tmp_path / "whole.png")
    assert size_of(tmp_path / "whole.png")[1] < short


def test_images_of_any_shape_and_mode_fit(tmp_path):
    images = {"wide": Image.new("L", (400, 10)), "high": Image.new("RGBA", (3, 500)), "palette": Image.new("P", (1, 1))}
    for name in ("sheet.png", "sheet.html"):
        write_sheet([make_card(images=images), make_card(images={})], tmp_path / name)
        assert (tmp_path / name).stat().st_size > 0


def test_the_page_holds_the_texts_as_they_are(tmp_path):
    texts = {"prompt": "USER: <image>\n<b>What</b> & why?", "chosen": "“ünï” 漢字</s>", "rejected": "<script>alert(1)</script>"}
    write_sheet([make_card(**texts)], tmp_path / "sheet.html")
    page = Page((tmp_path / "sheet.html").read_text(encoding="utf-8"))
    assert page.texts == list(texts.values())
    assert not page.tags & {"script", "b", "image", "link", "iframe"}


def test_the_page_holds_its_images_itself(tmp_path):
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (56, 40, 3), dtype=np.uint8), "RGB")
    large = Image.new("RGB", (336, 336), MAGENTA)
    write_sheet([make_card(images={"small": small, "large": large})], tmp_path / "sheet.html")
    page = Page((tmp_path / "sheet.html").read_text(encoding="utf-8"))
    stored = [Image.open(io.BytesIO(base64.b64decode(image["src"].split("base64,")[1]))) for image in page.images]
    assert np.array_equal(np.asarray(stored[0]), np.asarray(small))  # without loss
    assert stored[1].format == "JPEG"
    assert stored[1].size == (336, 336)
    assert all(image["alt"] for image in page.images)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.png or \.html"):
        write_sheet([make_card()], tmp_path / "sheet.pdf")


def test_an_empty_sheet_is_refused_and_an_old_one_kept(tmp_path):
    (tmp_path / "sheet.png").write_text("old")
    with pytest.raises(UserError, match="no pair to show"):
        write_sheet([], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_text() == "old"


def test_many_images_stand_in_rows_of_three_with_their_whole_labels(tmp_path):
    shades = [(255, 0, 255 - place) for place in range(5)]
    images = {f"a hard negative of the kind number {place}": Image.new("RGB", (56, 56), shade) for place, shade in enumerate(shades)}
    write_sheet([make_card(images=images)], tmp_path / "sheet.png")
    side = (CARD_WIDTH - 2 * 28 + 20) // 3 - 20
    found = colours(tmp_path / "sheet.png")
    assert [found[shade] for shade in shades] == [side * side] * 5  # nothing is written over them
