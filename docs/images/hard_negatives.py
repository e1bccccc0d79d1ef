"""Draws hard_negatives.png: every hard negative of one of the demo's scenes. Run `python docs/images/hard_negatives.py`."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter

from jax_mdpo.core.seeds import generator
from jax_mdpo.data.hard_negatives import (
    Black,
    BlockMask,
    Blur,
    Crop,
    HardNegative,
    Moco,
    OtherImage,
    PatchMask,
    PatchShuffle,
    Rotation,
)
from jax_mdpo.demo.scenes import Scene, Thing, render
from jax_mdpo.report.picture import GROUND, Row

SIDE = 224  # pixels, of the framed image
WIDTH, GAP, PER_ROW = 820, 20, 4  # of the sheet
COLOURS = 256  # of its palette
SEED = 5

SHOWN: dict[str, HardNegative] = {
    "crop": Crop(),
    "crop, area 0.2 to 0.5": Crop(area=(0.2, 0.5)),
    "moco": Moco(),
    "other_image": OtherImage(),
    "block_mask": BlockMask(),
    "patch_mask": PatchMask(),
    "patch_shuffle": PatchShuffle(),
    "blur": Blur(),
    "rotation": Rotation(),
    "rotation, 30° to 60°": Rotation(angle=(30.0, 60.0), fill="black"),
    "black": Black(),
}


@dataclass(frozen=True)
class Scenes:
    """A data set of pictures, seen from the first one."""

    pictures: tuple[Image.Image, ...]
    index: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(range(len(self.pictures)))

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> Image.Image:
        return self.pictures[index]

    def same_image(self, index: int) -> bool:
        return index == self.index

    def rejected_image(self) -> Image.Image:
        raise NotImplementedError("a scene brings none")


def picture(*things: Thing) -> Image.Image:
    smooth = render(Scene(things), generator(SEED, *things)).filter(ImageFilter.MedianFilter(3))  # grain does not compress
    return smooth.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def draw() -> Image.Image:
    corpus = Scenes(
        (picture(Thing("yellow", "star"), Thing("blue", "circle")), picture(Thing("red", "triangle"), Thing("green", "square")))
    )
    image = corpus.image(0)
    panels = [("image", image)]
    panels += [(name, negative(image, generator(SEED, "hard_negative", name), corpus)) for name, negative in SHOWN.items()]
    rows = [Row(tuple(panels[start : start + PER_ROW]), WIDTH - 2 * GAP) for start in range(0, len(panels), PER_ROW)]
    sheet = Image.new("RGB", (WIDTH, sum(row.height for row in rows) + GAP * (len(rows) + 1)), GROUND)
    top = GAP
    for row in rows:
        row.draw(sheet, GAP, top)
        top += row.height + GAP
    return sheet.quantize(COLOURS, Image.Quantize.MAXCOVERAGE)


if __name__ == "__main__":
    draw().save(Path(__file__).with_suffix(".png"), optimize=True)
