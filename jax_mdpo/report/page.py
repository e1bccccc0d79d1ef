"""The contact sheet as an HTML page that needs no other file."""

import base64
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2
from PIL import Image

from jax_mdpo.report.cards import Card

SMALL = 128  # pixels: smaller images are stored without loss and shown with their pixels visible


def write_page(cards: Sequence[Card], title: str, path: Path) -> None:
    """Writes the page; every text is escaped and every image stands in it as data."""
    source = resources.files("jax_mdpo.report").joinpath("templates/sheet.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(source).render(cards=cards, title=title, data_uri=data_uri, is_small=is_small)
    path.write_text(page, encoding="utf-8")


def is_small(image: Image.Image) -> bool:
    """Whether a screen shows this image larger than it is."""
    return max(image.size) <= SMALL


def data_uri(image: Image.Image) -> str:
    """The image inside an address: PNG for small ones, JPEG for photographs, which would make the page heavy."""
    buffer = io.BytesIO()
    if is_small(image):
        image.save(buffer, "PNG")
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    image.convert("RGB").save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
