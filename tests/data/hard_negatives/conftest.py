"""Pictures, data sets of pictures, and the comparison of draws with their distribution."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.seeds import generator
from jax_mdpo.scenes.picture import render
from jax_mdpo.scenes.scene import WorldSettings, scene_of


def scene(number: int) -> Image.Image:
    return render(scene_of(WorldSettings(), "hard negatives", number), generator(0, "picture", number))


class Pictures:
    """A data set in memory, seen from the record at `index`. sources: names of the image files; a str in `images` is a decoding fault."""

    def __init__(
        self,
        images: Sequence[Image.Image | str | None],
        index: int = 0,
        sources: Sequence[object] | None = None,
        ids: Sequence | None = None,
    ):
        self.images, self.index = images, index
        self.sources = tuple(range(len(images)) if sources is None else sources)
        self.ids = tuple(range(len(images)) if ids is None else ids)

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> Image.Image | None:
        found = self.images[index]
        if isinstance(found, str):
            raise RecordError(found)
        return found

    def same_image(self, index: int) -> bool:
        return self.sources[index] == self.sources[self.index]

    def rejected_image(self) -> Image.Image:
        raise AssertionError("only rejected_image looks at it")


@pytest.fixture(scope="session")
def pictures() -> Callable[..., Pictures]:
    return Pictures


@pytest.fixture(scope="session")
def alone() -> Pictures:
    """For negatives that look at their own image only: any look at another fails."""
    return Pictures([])


@pytest.fixture(scope="session")
def scenes() -> list[Image.Image]:
    """Five different pictures, 96 × 96."""
    return [scene(number) for number in range(5)]


@pytest.fixture(scope="session")
def noise() -> Callable[[int, int], Image.Image]:
    """(width, height) → a picture in which hardly any two pixels are equal."""
    return lambda width, height: Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture(scope="session")
def rngs() -> Callable[[int], list[np.random.Generator]]:
    """(count) → generators seeded as the loader seeds them."""
    return lambda count: [generator(0, "hard_negative", number, 0) for number in range(count)]


@pytest.fixture(scope="session")
def assert_uniform() -> Callable[[Sequence[float], float, float], None]:
    """Kolmogorov-Smirnov: a distance to the uniform distribution on (low, high) above 1.63/√n happens with one seed in a hundred."""

    def compare(values: Sequence[float], low: float, high: float) -> None:
        expected = np.clip((np.sort(values) - low) / (high - low), 0, 1)
        steps = np.arange(len(values) + 1) / len(values)
        distance = max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))
        assert distance < 1.63 / np.sqrt(len(values))

    return compare


@pytest.fixture(scope="session")
def assert_rate() -> Callable[[int, int, float], None]:
    """So many hits of so many trials are within four standard deviations of the chance."""

    def compare(hits: int, trials: int, chance: float) -> None:
        assert abs(hits - trials * chance) < 4 * np.sqrt(trials * chance * (1 - chance))

    return compare
