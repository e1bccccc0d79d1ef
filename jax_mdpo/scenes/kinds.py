"""The 24 kinds of object, each a shape and a colour of its own, and which of them are partners."""

from typing import NamedTuple

Colour = tuple[int, int, int]

SHAPES = ("disc", "square", "triangle", "diamond", "cross", "ring")
COLOURS: tuple[Colour, ...] = (
    (225, 45, 50),
    (45, 175, 70),
    (60, 105, 245),
    (240, 215, 50),
    (215, 65, 205),
    (60, 210, 220),
    (245, 245, 245),
    (245, 140, 35),
)
PAIRS = (  # from the most to the least frequent; where one stands, its partner is expected
    ("lamp", "table"),
    ("cup", "kettle"),
    ("tree", "nest"),
    ("hat", "coat"),
    ("key", "lock"),
    ("hammer", "nail"),
    ("moon", "star"),
    ("boat", "sail"),
    ("drum", "flute"),
    ("pen", "book"),
    ("candle", "cake"),
    ("tent", "rope"),
)


class Kind(NamedTuple):
    """A kind of object: its name, a singular noun, and how it looks."""

    name: str
    shape: str
    colour: Colour


NAMES = tuple(name for pair in PAIRS for name in pair)
# 24 is the least common multiple of 6 shapes and 8 colours: no two kinds share both, and partners share neither
KINDS = {name: Kind(name, SHAPES[place % len(SHAPES)], COLOURS[place % len(COLOURS)]) for place, name in enumerate(NAMES)}
PARTNER = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
PAIR_OF = {name: number for number, pair in enumerate(PAIRS) for name in pair}
