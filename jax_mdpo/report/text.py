"""Text set into a column of a picture."""

from collections.abc import Iterator
from functools import cache

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont


@cache
def font(size: int) -> FreeTypeFont:
    """Pillow's own TrueType font, so that a sheet looks the same on every machine. `size` in pixels."""
    found = ImageFont.load_default(size)
    assert isinstance(found, FreeTypeFont), "Pillow was built without FreeType"
    return found


def wrap(text: str, face: FreeTypeFont, width: int, max_lines: int) -> list[str]:
    """The lines of `text` in a column of `width` pixels: the text's own line breaks kept, words longer than a line broken.

    Of more than `max_lines` lines the last one says how many characters were left out.
    """
    lines = [line for paragraph in text.split("\n") for line in _wrap_paragraph(paragraph, face, width)]
    if len(lines) <= max_lines:
        return lines
    kept = lines[: max_lines - 1]
    return [*kept, f"… and {sum(map(len, lines[max_lines - 1 :]))} more characters"]


def _wrap_paragraph(paragraph: str, face: FreeTypeFont, width: int) -> Iterator[str]:
    line = ""
    for word in paragraph.split(" "):
        longer = f"{line} {word}" if line else word
        if face.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        *full, line = _break_word(word, face, width)
        yield from full
    yield line


def _break_word(word: str, face: FreeTypeFont, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and face.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
