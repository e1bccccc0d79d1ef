"""A scene's picture: its objects as coloured shapes on a noisy ground, and where each of them stands."""

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from jax_mdpo.core.seeds import generator
from jax_mdpo.scenes.kinds import KINDS, Kind
from jax_mdpo.scenes.scene import Scene, WorldSettings

SIZE = 96  # pixels, width and height; the tiny model looks at it reduced
CELLS = 3  # along each side; a cell holds one object at most
OVERSAMPLING = 3  # shapes are drawn larger and reduced, for smooth edges
QUALITY = 95  # of the JPEG files

Point = tuple[float, float]


def picture_of(scene: Scene, world: WorldSettings, split: str, index: int) -> bytes:
    """The scene's picture as a JPEG file, SIZE × SIZE; always the same one for the same names."""
    rng = generator(world.seed, "picture", split, index)
    buffer = io.BytesIO()
    render(scene, rng).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def render(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Objects in cells of their own, of varying size, place and turn."""
    large, cell = SIZE * OVERSAMPLING, SIZE / CELLS
    shapes = Image.new("RGBA", (large, large), (0, 0, 0, 0))
    pen = ImageDraw.Draw(shapes)
    for name, place in zip(scene.objects, rng.permutation(CELLS**2), strict=False):
        radius = cell * rng.uniform(0.34, 0.47)
        slack = cell / 2 - radius
        row, column = divmod(int(place), CELLS)
        centre = (cell * (column + 0.5) + rng.uniform(-slack, slack), cell * (row + 0.5) + rng.uniform(-slack, slack))
        _draw(pen, KINDS[name], centre, radius, turn=rng.uniform(-0.2, 0.2))
    reduced = shapes.reduce(OVERSAMPLING)
    picture = Image.alpha_composite(_ground(rng), reduced).convert("RGB")
    grain = rng.normal(0, 12, (SIZE, SIZE, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def _ground(rng: np.random.Generator) -> Image.Image:
    """A dark or middling ground with soft blotches, nearly grey."""
    blotches = rng.uniform(40, 120) + rng.normal(0, 18, (6, 6, 1)) + rng.normal(0, 6, (6, 6, 3))
    small = Image.fromarray(np.clip(blotches, 0, 255).astype(np.uint8))
    return small.resize((SIZE, SIZE), Image.Resampling.BICUBIC).convert("RGBA")


def _draw(pen: ImageDraw.ImageDraw, kind: Kind, centre: Point, radius: float, turn: float) -> None:
    x, y = (part * OVERSAMPLING for part in centre)
    radius *= OVERSAMPLING
    if kind.shape == "disc":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=kind.colour)
    elif kind.shape == "ring":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=kind.colour, width=round(0.4 * radius))
    else:
        pen.polygon(CORNERS[kind.shape]((x, y), radius, turn), fill=kind.colour)


def _polygon(*reaches: float, start: float) -> Callable[[Point, float, float], list[Point]]:
    """Corners around a circle, at these multiples of the radius, the first at the angle `start`."""

    def corners(centre: Point, radius: float, turn: float) -> list[Point]:
        angles = [start + turn + 2 * math.pi * i / len(reaches) for i in range(len(reaches))]
        return [
            (centre[0] + reach * radius * math.cos(angle), centre[1] + reach * radius * math.sin(angle))
            for reach, angle in zip(reaches, angles, strict=True)
        ]

    return corners


CORNERS = {
    "square": _polygon(1.15, 1.15, 1.15, 1.15, start=math.pi / 4),
    "diamond": _polygon(1.1, 0.75, 1.1, 0.75, start=-math.pi / 2),  # upright and slim: no turned square
    "triangle": _polygon(1.15, 1.15, 1.15, start=-math.pi / 2),
    "cross": _polygon(*(1.1, 0.4, 1.1) * 4, start=-math.pi / 2 - math.pi / 6),
}
