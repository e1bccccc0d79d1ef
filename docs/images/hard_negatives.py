"""Draws hard_negatives.png: every hard negative of a picture of the scenes world. Run `python docs/images/hard_negatives.py`."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter
from sheet import write_sheet

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
from jax_mdpo.scenes.picture import render
from jax_mdpo.scenes.scene import Scene

SIDE = 224  # pixels, of the framed image
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


def picture(*objects: str) -> Image.Image:
    smooth = render(Scene(objects), generator(SEED, *objects)).filter(ImageFilter.MedianFilter(3))  # grain does not compress
    return smooth.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def panels() -> list[tuple[str, Image.Image]]:
    corpus = Scenes((picture("lamp", "cup", "nest", "sail"), picture("table", "hat", "drum")))
    image = corpus.image(0)
    return [("image", image)] + [
        (name, negative(image, generator(SEED, "hard_negative", name), corpus)) for name, negative in SHOWN.items()
    ]


if __name__ == "__main__":
    write_sheet(panels(), Path(__file__).with_suffix(".png"), columns=4)
