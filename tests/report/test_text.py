"""Text in a column."""

import math

from hypothesis import given
from hypothesis import strategies as st

from jax_mdpo.report.text import font, wrap

FACE = font(20)
TEXTS = st.text(alphabet="ab Wi.\n", max_size=80)


@given(TEXTS, st.integers(40, 400))
def test_no_letter_is_lost_and_no_line_too_wide(text, width):
    lines = wrap(text, FACE, width, max_lines=1000)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    assert all(FACE.getlength(line.rstrip(" ")) <= width or line.isspace() for line in lines)


@given(TEXTS, st.integers(1, 6))
def test_what_is_left_out_is_counted(text, max_lines):
    whole = wrap(text, FACE, 100, max_lines=1000)
    lines = wrap(text, FACE, 100, max_lines=max_lines)
    if len(whole) <= max_lines:
        assert lines == whole
        return
    assert len(lines) == max_lines
    left_out = sum(len(line) for line in whole[max_lines - 1 :])
    assert lines[-1] == f"… and {left_out} more characters"


def test_line_breaks_of_the_text_are_kept():
    assert wrap("one\n\ntwo", FACE, 1000, 9) == ["one", "", "two"]


def test_words_stay_whole_where_they_fit():
    width = math.ceil(FACE.getlength("seven words"))
    assert wrap("seven words seven words", FACE, width, 9) == ["seven words", "seven words"]
