"""The probe's counting on a batch made by hand, and its words on figures made by arithmetic."""

import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.core.batch import TEXT_SLOT, Batch, Branch, Prefix
from jax_mdpo.evaluation.reliance import sums
from jax_mdpo.evaluation.verdict import verdict


def packed(valid: list[list[bool]], first_slots: list[list[int]]) -> Batch:
    """Rows of two pairs with two positions each in the prefix; first_slots: what stands at each pair's first one."""
    segments = np.tile([1, 1, 2, 2], (len(valid), 1))
    slots = np.full_like(segments, TEXT_SLOT)
    slots[:, [0, 2]] = first_slots
    text = np.full_like(segments, TEXT_SLOT)
    branch = Branch(segments, text, segments, segments, segments > 0)
    return Batch({}, Prefix(segments, slots, segments), {"chosen": branch, "rejected": branch}, np.array(valid))


def test_only_valid_pairs_with_an_image_count():
    batch = packed([[True, True], [True, False], [True, True]], [[0, TEXT_SLOT], [3, 0], [0, 0]])  # pairs 0, 2, 4 and 5 count
    judged = {"true": [1, 1, 1, 1, 0, 1], "blank": [1, 0, 0, 0, 1, 1], "other": [0, 0, 1, 0, 0, 1]}
    found = sums({name: jnp.array(values, bool) for name, values in judged.items()}, batch)
    expected = {"pairs": 4, "accuracy_true": 3, "accuracy_blank": 3, "accuracy_other": 2, "changed_blank": 2, "changed_other": 1}
    assert {name: float(value) for name, value in found.items()} == expected


def test_an_image_whose_last_token_opens_the_branch_is_an_image():
    batch = packed([[True, True]], [[TEXT_SLOT, TEXT_SLOT]])
    opening = np.array([[0, TEXT_SLOT, TEXT_SLOT, TEXT_SLOT]])
    branches = {answer: branch._replace(slots=opening) for answer, branch in batch.branches.items()}
    right = jnp.ones(2, bool)
    found = sums({"true": right, "blank": right, "other": right}, batch._replace(branches=branches))
    assert float(found["pairs"]) == 1


def figures(pairs: int, blank: tuple[int, int], other: tuple[int, int]) -> dict[str, float]:
    """Of `blank` and `other`: how many pairs are right with the true image only, and how many with that image only; 60 % are right."""
    right = round(0.6 * pairs)
    found = {"pairs": float(pairs), "accuracy_true": right / pairs}
    for name, (lost, won) in {"blank": blank, "other": other}.items():
        found |= {f"accuracy_{name}": (right - lost + won) / pairs, f"changed_{name}": (lost + won) / pairs}
    return found


ALONE, LEANS = "prefers by language alone", "leans on the image"
TOO_FEW, SWAYED = "too few pairs", "sways the model"


@pytest.mark.parametrize(
    ("pairs", "blank", "other", "words"),
    [
        (400, (0, 0), (0, 0), ALONE),
        (400, (10, 9), (12, 8), ALONE),
        (400, (9, 9), (13, 3), LEANS),  # 10 more of 16: beyond 2 · √16 = 8
        (400, (9, 9), (12, 4), ALONE),  # 8 more of 16: just within
        (400, (25, 4), (13, 3), LEANS),
        (400, (25, 4), (9, 9), "by there being an image"),
        (400, (4, 25), (13, 3), "the true image misleads"),
        (400, (9, 9), (4, 25), "the true image misleads"),
        (400, (30, 28), (40, 38), SWAYED),  # 2 · √78 / 400 = 4.4 points, but every fifth pair changes
        (100, (5, 5), (6, 4), ALONE),  # 2 · √10 / 100 = 6 points, and every tenth pair changes
        (100, (6, 5), (6, 4), SWAYED),
        (100, (14, 13), (8, 8), TOO_FEW),  # 2 · √27 / 100 = 10.4 points
        (30, (0, 0), (0, 0), ALONE),  # 3 / 30 = 10 points
        (29, (0, 0), (0, 0), TOO_FEW),
        (10, (4, 0), (0, 0), TOO_FEW),  # 4 more of 4: just within 2 · √4
        (10, (0, 0), (5, 0), LEANS),
    ],
)
def test_the_conclusion(pairs, blank, other, words):
    conclusions = [ALONE, LEANS, TOO_FEW, SWAYED, "by there being an image", "the true image misleads"]
    said = verdict(figures(pairs, blank, other))
    assert [one for one in conclusions if one in said] == [words]


def test_the_figures_stand_beside_it():
    said = verdict(figures(400, (25, 5), (3, 1)))
    assert "of 400 held-out pairs" in said and "60.0% with the true image" in said
    assert "55.0% with a blank one (+5.0 ± 2.7 points; 7.5% change)" in said  # 2 · √30 / 400 = 2.74
    assert "59.5% with another record's (+0.5 ± 1.0 points; 1.0% change)" in said


def test_no_pair_at_all_is_too_few():
    nothing = {"accuracy_true", "accuracy_blank", "accuracy_other", "changed_blank", "changed_other", "pairs"}
    assert TOO_FEW in verdict(dict.fromkeys(nothing, 0.0))
