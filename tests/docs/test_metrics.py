"""Every name in metrics.jsonl is explained in docs/training.md, and what is explained there exists."""

import re
from collections import defaultdict
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jax_mdpo.core.batch import Batch, Branch, Prefix
from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import NOISED
from jax_mdpo.evaluation.reliance import IMAGES, sums
from jax_mdpo.objectives.registry import TERMS, WEIGHTINGS
from jax_mdpo.objectives.term import Views, started, total
from jax_mdpo.training.programs import Programs

DOCUMENT = Path(__file__).parents[2] / "docs" / "training.md"
LOOP = {
    "grad_norm",
    "learning_rate",
    "pairs_per_second",
    "tokens_per_second",
    "step_seconds",
    "data_wait_seconds",
    "peak_memory_bytes",
    *Programs._fields,
}
ARGUMENTS = {
    "preference": {"preferred": ("none", "chosen"), "other": ("negative", "rejected")},
    "pointwise": {"loss": "nca"},
}


def explained() -> list[str]:
    """The names in the first column of tables, `<…>` standing for any word."""
    section = DOCUMENT.read_text().partition("## What the log says")[2].partition("## Compiled programs")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall("`(.+?)`", cell)]


def views(term) -> Views:
    """What the term asks for, of two pairs with three tokens."""
    guesses = defaultdict(dict)
    for need in term.needs():
        guesses[need.model, need.view].update({need.guess: np.float32([[1, 2, 3]] * 2)} if need.guess else {})
    values = -jnp.arange(6, dtype=jnp.float32).reshape(2, 3)
    scored = jnp.ones((2, 3), bool)
    return Views({key: Tokens(values, scored, values, found, -values, None, scored) for key, found in guesses.items()}, started([term]))


def logged() -> set[str]:
    terms = [kind(**ARGUMENTS.get(name, {})) for name, kind in TERMS.items()]
    terms += [TERMS["dpo"](weights=kind()) for kind in WEIGHTINGS.values()]
    assert any(need.view.image == NOISED for term in terms for need in term.needs())
    names = {name for term in terms for name in [*total([term], views(term)).metrics, f"grad_norm/{term.label}"]}
    row = np.ones((1, 1), int)
    branch = Branch(row, row, row, row, row > 0)
    probed = sums(dict.fromkeys(IMAGES, jnp.ones(1, bool)), Batch({}, Prefix(row, row, row), {"chosen": branch}, row > 0))
    return names | LOOP | {f"eval/reliance/{name}" for name in probed}


def test_every_name_is_explained_and_every_explanation_is_of_one():
    patterns = {name: re.compile(re.sub("<[a-z]+>", "[a-z_]+", name)) for name in explained()}
    names = logged()
    assert [name for name in sorted(names) if not any(pattern.fullmatch(name) for pattern in patterns.values())] == []
    assert [name for name, pattern in patterns.items() if not any(map(pattern.fullmatch, names))] == []
    assert len(names) > 50 and len(patterns) > 25
