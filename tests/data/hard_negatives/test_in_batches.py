"""The same pixels for a record and an epoch, whatever the workers, the batches and the place where reading starts."""

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import HARD_NEGATIVES, Blur, Crop, Mixture, Moco, OtherImage
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants

FILES = ("cat.jpg", "dog.jpg", "owl.jpg", "cat.jpg", "dog.jpg", "cat.jpg", "eel.jpg")  # of r0, r1, …; eel.jpg is broken


@pytest.fixture
def pairs(pictures_folder, write_lines):
    rows = [
        {"id": f"r{place}", "image": file, "prompt": "what?", "chosen": "two " * (place + 1), "rejected": "no"}
        for place, file in enumerate(FILES)
    ]
    return write_lines(*rows)


@pytest.fixture
def pictures_folder(tmp_path, scenes):
    """Where `write_lines` puts its files."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for scene, name in zip(scenes, ("cat.jpg", "dog.jpg", "owl.jpg"), strict=False):
        scene.save(folder / name)
    (folder / "eel.jpg").write_bytes((folder / "cat.jpg").read_bytes()[:300])
    return folder


@pytest.fixture
def nearest(tmp_path):
    path = tmp_path / "features.npz"
    np.savez(path, ids=[f"r{place}" for place in range(7)], features=np.random.default_rng(0).normal(size=(7, 4)))
    return OtherImage(choice="nearest", features=str(path))


def negatives_of(path, processor, negative, *, workers: int, batch_size: int, epochs=(0, 1), start: int = 0) -> dict:
    """(epoch, id) → the negative's pixels, in shuffled batches."""
    data = PairDataset.open(DataSettings(path=str(path), workers=workers, on_bad_record="skip"), processor)
    plans = [plan for epoch in epochs for plan in data.epoch_batches(batch_size=batch_size, seed=0, epoch=epoch)]
    batches = data.batches(plans, variants=Variants(("negative",), {"negative": negative}, seed=3), start=start)
    found = {}
    for plan, batch in zip(plans[start:], batches, strict=True):
        for id, pixels, valid in zip(batch.ids, batch.batch.images["negative"][:, 0], batch.batch.valid[:, 0], strict=True):
            if valid:
                found[plan.epoch, id] = pixels
    return found


@pytest.mark.parametrize("name", [*sorted(set(HARD_NEGATIVES) - {"mixture", "rejected_image"}), "nearest", "mixed"])
def test_pixels_depend_on_seed_record_and_epoch_alone(name, pairs, vicuna, nearest):
    mixed = Mixture(of=(Crop(), Blur(), Moco(), nearest), weights=(3.0, 1.0, 1.0, 2.0))
    negative = {"nearest": nearest, "mixed": mixed}.get(name) or HARD_NEGATIVES[name]()
    expected = negatives_of(pairs, vicuna, negative, workers=0, batch_size=2)
    assert len(expected) == 2 * 6
    for again in (negatives_of(pairs, vicuna, negative, workers=3, batch_size=3),
                  negatives_of(pairs, vicuna, negative, workers=0, batch_size=4, epochs=(1,)),
                  negatives_of(pairs, vicuna, negative, workers=2, batch_size=2, start=3)):  # fmt: skip
        assert again and all(np.array_equal(pixels, expected[key]) for key, pixels in again.items())


def test_another_image_is_never_from_the_same_file(pairs, pictures_folder, vicuna, nearest):
    framed = {name: np.asarray(vicuna.frame(Image.open(pictures_folder / name))) for name in FILES[:3]}
    for negative in (OtherImage(), nearest):
        taken = negatives_of(pairs, vicuna, negative, workers=0, batch_size=2, epochs=range(4))
        for (_, id), pixels in taken.items():
            (name,) = [name for name, image in framed.items() if np.array_equal(image, pixels)]
            assert name != FILES[int(id[1:])]
