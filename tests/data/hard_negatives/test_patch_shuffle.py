"""Every patch moves, whole, to any other place."""

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.data.hard_negatives import PatchShuffle


def test_sources_are_one_random_cycle(rngs, assert_rate):
    """From each place a cycle leads through all others; each other place is equally often the source."""
    drawn = np.array([PatchShuffle().sources(6, rng) for rng in rngs(2000)])
    for sources in drawn[:100]:
        place, seen = 0, []
        for _ in range(6):
            place = sources[place]
            seen.append(place)
        assert sorted(seen) == list(range(6)) and place == 0
    for place in range(6):
        for source in range(6):
            hits = int((drawn[:, place] == source).sum())
            if source == place:
                assert hits == 0
            else:
                assert_rate(hits, 2000, 1 / 5)


@pytest.mark.parametrize(("size", "grid", "columns", "rows"), [((24, 24), 6, 6, 6), ((39, 26), 4, 4, 3), ((40, 8), 10, 10, 2)])
def test_patches_are_moved_whole_and_the_margin_stays(size, grid, columns, rows, noise, alone, rngs):
    """Patches have ⌊side / count⌋ pixels, the rest of the side is the margin, half of it (rounded down) before them."""
    before, after = np.asarray(noise(*size)), np.asarray(PatchShuffle(grid=grid)(noise(*size), *rngs(1), alone))
    w, h = size[0] // columns, size[1] // rows
    left, top = size[0] % columns // 2, size[1] % rows // 2
    places = [(slice(top + r * h, top + r * h + h), slice(left + c * w, left + c * w + w)) for r in range(rows) for c in range(columns)]
    sources = PatchShuffle(grid=grid).sources(columns * rows, *rngs(1))
    for place, source in zip(places, sources, strict=True):
        assert np.array_equal(after[place], before[places[source]])
    margin = np.ones(before.shape[:2], bool)
    for place in places:
        margin[place] = False
    assert np.array_equal(after[margin], before[margin])


def test_two_patches_change_places_and_one_stays(alone, rngs):
    two = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert np.asarray(PatchShuffle()(two, *rngs(1), alone)).tolist() == [[[4, 5, 6], [1, 2, 3]]]
    one = two.crop((0, 0, 1, 1))
    assert np.asarray(PatchShuffle()(one, *rngs(1), alone)).tolist() == [[[1, 2, 3]]]


def test_a_grid_of_one_patch_is_refused():
    with pytest.raises(ValueError, match=r"^grid must be at least 2 cells"):
        PatchShuffle(grid=1)
