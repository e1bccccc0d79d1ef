"""What the log tells of rewards, and under which names."""

import jax.numpy as jnp
import pytest
from evaluated import CLEAN_CHOSEN, CLEAN_REJECTED, NEGATIVE_CHOSEN, evaluated

from jax_mdpo.core.views import NEGATIVE, NONE, REJECTED, View
from jax_mdpo.objectives.rewards import described, name_of

POLICY = {CLEAN_CHOSEN: [-4.0, -6.0, -5.0], CLEAN_REJECTED: [-7.0, -7.0, -7.0], NEGATIVE_CHOSEN: [-8.0, -8.0, -8.0]}
VIEWS = evaluated(POLICY)
CHOSEN_REWARDS = jnp.array([0.5, -0.25, 0.0])
OTHER_REWARDS = jnp.array([0.25, 0.5, 0.0])


@pytest.mark.parametrize(
    ("view", "name"),
    [
        (CLEAN_CHOSEN, "chosen"),
        (CLEAN_REJECTED, "rejected"),
        (NEGATIVE_CHOSEN, "negative"),
        (View(NONE, "chosen"), "none"),
        (View(NEGATIVE, REJECTED), "negative_rejected"),
        (View(NEGATIVE, "contrast"), "negative_contrast"),
    ],
)
def test_names_of_views(view: View, name: str):
    assert name_of(view) == name


def test_two_answers():
    found = described(VIEWS, {CLEAN_CHOSEN: CHOSEN_REWARDS, CLEAN_REJECTED: OTHER_REWARDS})
    assert {name: values.tolist() for name, values in found.items()} == {
        "rewards/chosen": [0.5, -0.25, 0.0],
        "rewards/rejected": [0.25, 0.5, 0.0],
        "rewards/margin": [0.25, -0.75, 0.0],
        "rewards/accuracy": [1, 0, 0],  # a tie is no preference
        "rewards/chosen_positive": [1, 0, 1],
        "logps/chosen": [-4, -6, -5],
        "logps/rejected": [-7, -7, -7],
    }


def test_two_images():
    found = described(VIEWS, {CLEAN_CHOSEN: CHOSEN_REWARDS, NEGATIVE_CHOSEN: OTHER_REWARDS})
    assert found["rewards/conditional_accuracy"].tolist() == [1, 0, 0]
    assert found["rewards/negative"].tolist() == [0.25, 0.5, 0.0]
    assert not {"rewards/margin", "rewards/accuracy"} & set(found)


def test_signs_say_nothing_without_a_reference():
    found = described(VIEWS, {CLEAN_CHOSEN: CHOSEN_REWARDS, CLEAN_REJECTED: OTHER_REWARDS}, of_reference=False)
    assert "rewards/chosen_positive" not in found
    assert found["rewards/accuracy"].tolist() == [1, 0, 0]


def test_no_chosen_answer_no_comparison():
    assert set(described(VIEWS, {CLEAN_REJECTED: OTHER_REWARDS})) == {"rewards/rejected", "logps/rejected"}
