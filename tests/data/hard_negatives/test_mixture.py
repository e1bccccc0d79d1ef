"""How often each part is picked, and what a mixture checks of its parts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError, RecordError
from jax_mdpo.core.records import Record
from jax_mdpo.core.seeds import generator
from jax_mdpo.data.hard_negatives import Black, Blur, Crop, Mixture, RejectedImage, check, fingerprint


@dataclass(frozen=True)
class OnDevice:
    """A corruption that knows nothing of images in a data set."""

    step: int = 500


@pytest.mark.parametrize(
    ("weights", "shares"),
    [(None, (1 / 3, 1 / 3, 1 / 3)), ((3.0, 1.0, 4.0), (3 / 8, 1 / 8, 4 / 8)), ((1e308, 1e308, 2e307), (5 / 11, 5 / 11, 1 / 11))],
)
def test_parts_are_picked_as_often_as_their_weights_say(weights, shares, rngs, assert_rate):
    mixture = Mixture(of=(Crop(), Blur(), OnDevice()), weights=weights)
    picked = [mixture.pick(rng) for rng in rngs(3000)]
    for place, share in enumerate(shares):
        assert_rate(picked.count(place), 3000, share)
    assert mixture.shares == pytest.approx(shares, rel=1e-12)


def test_the_pick_depends_on_the_generator_alone():
    mixture = Mixture(of=(Crop(), Blur()))
    picked = [[mixture.pick(generator(0, "hard_negative", "a", epoch)) for epoch in range(20)] for _ in range(2)]
    assert picked[0] == picked[1] and set(picked[0]) == {0, 1}


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"of": ()}, "at least one"), ({"of": (Mixture(of=(Crop(),)),)}, "mixture"), ({"of": ({"name": "crop"},)}, "hard negatives, got"),
     ({"of": ("crop",)}, "hard negatives, got"), ({"of": (Crop(), Blur()), "weights": (1.0,)}, "each of the 2"),
     ({"of": (Crop(),), "weights": (0.0,)}, "positive"), ({"of": (Crop(), Blur()), "weights": (1.0, -1.0)}, "positive"),
     ({"of": (Crop(),), "weights": (np.inf,)}, "finite"), ({"of": (Crop(),), "weights": (np.nan,)}, "finite")],
)  # fmt: skip
def test_impossible_mixtures_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Mixture(**fields)


def test_a_fault_of_a_configuration_names_its_key():
    assert validate(Mixture, {"of": [Crop(), Black()], "weights": [3, "1e0"]}, where="test").weights == (3.0, 1.0)
    with pytest.raises(ConfigError, match="weights"):
        validate(Mixture, {"of": [Crop(), Black()], "weights": [3, "many"]}, where="test")


def test_every_part_is_checked_for_any_may_be_picked():
    record = Record(id="a", prompt="?", chosen="!", rejected=".", image=Path("cat.jpg"))
    check(Mixture(of=(Crop(), OnDevice())), record)
    with pytest.raises(RecordError, match=r"^record 'a': brings no rejected image"):
        check(Mixture(of=(Crop(), RejectedImage()), weights=(1.0, 1e-9)), record)


def test_a_fingerprint_holds_parts_and_shares():
    one = Mixture(of=(Crop(), Blur()), weights=(1.0, 1.0))
    assert fingerprint(one) == fingerprint(Mixture(of=(Crop(), Blur())))
    others = [Mixture(of=(Crop(), Blur()), weights=(1.0, 2.0)), Mixture(of=(Blur(), Crop())), Mixture(of=(Crop(), Blur(radius=(0.1, 0.1))))]
    assert fingerprint(one) not in [fingerprint(other) for other in others]
