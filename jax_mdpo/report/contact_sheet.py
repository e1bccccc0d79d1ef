"""A contact sheet of preference pairs: one picture, or one page that stands alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import replacing
from jax_mdpo.report.cards import Card
from jax_mdpo.report.page import write_page
from jax_mdpo.report.picture import write_picture

WRITERS: dict[str, Callable[[Sequence[Card], str, Path], None]] = {".png": write_picture, ".html": write_page}


def write_sheet(cards: Sequence[Card], path: Path, *, title: str = "Preference pairs") -> None:
    """Writes the cards, in their order, to `path`, which ends in .png or .html; the file appears whole or not at all.

    The picture's font knows Latin letters only and cuts very long texts, saying so; the page has neither limit.
    Raises UserError for another ending or where there is no card.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UserError(
            f"a contact sheet cannot be written to {path}", expected="a name ending in .png or .html", got=path.suffix or "no ending"
        )
    if not cards:
        raise UserError(
            "there is no pair to show", expected="at least one usable record", fix="check the data file, and the reasons in skipped.jsonl"
        )
    with replacing(path) as temporary:
        writer(cards, title, temporary)
