"""The presets of configs/objectives: each is a run, and starts at the value that its equation has where policy and reference agree."""

import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import CHOSEN, CONTRAST, NEGATIVE, NOISED, NONE, REJECTED, RESPONSES
from jax_mdpo.models.plan import plan
from jax_mdpo.objectives.term import Views, started, total
from jax_mdpo.recipe.configuration import plain, settings_of
from jax_mdpo.recipe.settings import RunSettings

FOLDER = Path(__file__).parent.parent.parent / "configs" / "objectives"
PRESETS = sorted(FOLDER.glob("*.yaml"))
RUN = {"model": {"path": "m"}, "data": {"path": "d"}, "out": "o", "steps": 1}
NAMES = ("dpo", "mdpo", "ue_dpo", "mdpo_ue", "mpo", "rdpo", "v_dpo", "tpo", "chip", "symmpo", "s_vco")


def settings(name: str, **changes) -> RunSettings:
    values = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return settings_of({**RUN, **values, **changes}, where=name)


def test_every_published_method_has_one():
    assert {path.stem for path in PRESETS} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_a_run_and_survives_being_written_out(name):
    run = settings(name)
    assert settings_of(plain(run)) == run
    assert {term.label for term in run.objectives} and all(term.beta == 0.1 for term in run.objectives if hasattr(term, "beta"))


OWED = {CHOSEN: 1.0, REJECTED: 0.5, CONTRAST: 0.0}  # what the image gains a token, in nats


def tokens(view, model: str) -> Tokens:
    """Two responses, of three tokens and of one; policy and reference agree on all of them."""
    scored = jnp.array([[True, True, True, False], [True, False, False, False]])
    each = {CHOSEN: -1.0, REJECTED: -2.0, CONTRAST: -3.0}[view.response] - OWED[view.response] * (view.image == NONE)
    logps = jnp.where(scored, each, 0.0)
    logits = jnp.where(scored, 5.0 - jnp.arange(4.0), 0.0)
    return Tokens(
        logps,
        scored,
        logits=logits * (0.5 if view.image == NOISED else 1.0),
        guesses={NOISED: logits + 1.0},
        divergence=jnp.zeros_like(logps) if model == "policy" else None,
        changed=scored.at[0, 0].set(False) if model == "policy" else None,
    )


STARTS = {  # in units of log 2
    "dpo": 1.0,
    "mdpo": 3.0,
    "rdpo": 2.0,
    "s_vco": 4.0,
    "symmpo": 1 + 2 * 0.5 + 2,
    "chip": 1.0,
    "tpo": 1.0,
    "mpo": 0.8 + 0.2 * 2,
}


def start(name: str) -> tuple[np.ndarray, dict]:
    terms = settings(name).objectives
    needs = {(need.model, need.view) for term in terms for need in term.needs()}
    outcome = total(terms, Views({(model, view): tokens(view, model) for model, view in needs}, started(terms)))
    return np.asarray(outcome.loss), outcome.metrics


@pytest.mark.parametrize("name", STARTS)
def test_where_a_fresh_adapter_starts(name):
    loss, metrics = start(name)
    generation = 1.0 if name == "mpo" else 0.0  # the chosen answer's mean negative log-likelihood of a token
    np.testing.assert_allclose(loss, STARTS[name] * math.log(2) + generation, rtol=1e-6)
    rewards = [values for key, values in metrics.items() if key.startswith("rewards/") and not key.endswith(("accuracy", "positive"))]
    assert bool(rewards) and not np.any(rewards)


def test_v_dpo_starts_at_what_the_image_gains():
    lengths = np.array([3, 1])
    margin = 0.1 * (0.75 - 1) * lengths * (OWED[CHOSEN] - OWED[REJECTED])
    np.testing.assert_allclose(start("v_dpo")[0], np.log1p(np.exp(-margin)), rtol=1e-6)


FORWARDS = {  # by the policy and by the reference: (image, prompt) prefixes, each read once with its responses
    "dpo": (1, 1),
    "mdpo": (2, 2),
    "ue_dpo": (2, 1),
    "mdpo_ue": (3, 2),
    "mpo": (1, 1),
    "rdpo": (2, 2),
    "v_dpo": (2, 1),
    "tpo": (2, 2),
    "chip": (2, 2),
    "symmpo": (2, 2),
    "s_vco": (3, 3),
}


@pytest.mark.parametrize("name", NAMES)
def test_how_many_prefixes_each_reads(name):
    run = plan(settings(name).needs)
    found = {model: sum(len(forward.images) for forward in run.forwards if forward.model == model) for model in ("policy", "reference")}
    assert (found["policy"], found["reference"]) == FORWARDS[name]


def test_only_symmpo_reads_a_third_answer_and_only_chip_what_is_reworded():
    for name in NAMES:
        run = settings(name)
        assert run.responses == ((*RESPONSES, CONTRAST) if name == "symmpo" else RESPONSES)
        assert run.asks_changed == (name == "chip")
    symmpo = {need.view for need in settings("symmpo").needs}
    assert len(symmpo) == 5 and (NEGATIVE, REJECTED) not in symmpo, "as the authors' code evaluates"


def test_a_cache_of_log_probs_serves_no_term_that_reads_the_reference_s_logits():
    with pytest.raises(ConfigError, match="reads the reference's raw logits"):
        settings("tpo", reference={"cache": "c"}, negatives="fixed")
