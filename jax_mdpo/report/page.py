"""The contact sheet as an HTML page that needs no other file."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from jax_mdpo.report.cards import Card

SMALL = 128  # pixels: smaller images are stored without loss and shown with their pixels visible


def write_page(cards: Sequence[Card], title: str, path: Path) -> None:
    """Writes the page; every text is escaped and every image stands in it as data."""
    path.write_text(render("sheet.html", cards=cards, title=title), encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """A file of templates/ with these values in it, every text escaped. Templates know data_uri and is_small."""
    loader = jinja2.PackageLoader("jax_mdpo.report")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(data_uri=data_uri, is_small=is_small, **values)


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
