"""One pair's answers token by token: what the policy and the reference make of them given each image variant, in one compiled call."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, NOISED, REJECTED, Model, Need, View
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.images import Corruptions
from jax_mdpo.models.plan import plan
from jax_mdpo.models.views import Evaluated, evaluate
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Term, Views
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.sharding.placing import placing

CHUNK = 32  # response positions whose logits exist at a time
RESPONSES = (CHOSEN, REJECTED)


class Answer(NamedTuple):
    """The scored tokens of an answer, its end token included.

    values: by quantity, one number a token: logp; with an adapter log_ratio; with an image drop, sensitivity, uncertainty, weight; with
    both preference. What they are: report/quantities.py. guesses: the likeliest ids under the noised image.
    """

    ids: np.ndarray
    values: dict[str, np.ndarray]
    guesses: np.ndarray | None


class Examined(NamedTuple):
    """answers: by response. losses: of the pair, by the term's name; with an adapter only: without one they are those of no training."""

    answers: dict[str, Answer]
    losses: dict[str, float]


class Question(NamedTuple):
    """seen: whether the pair has an image. adapted: whether policy and reference differ. beta: of the rewards in the losses."""

    seen: bool
    adapted: bool
    weights: Uncertainty
    beta: float

    def needs(self) -> Iterator[Need]:
        """Every view, without a gradient."""
        for response in RESPONSES:
            clean, negative = View(CLEAN, response), View(NEGATIVE, response)
            for view in (clean, negative) if self.seen else (clean,):
                yield Need("policy", view, gradient=False)
                if self.adapted:
                    yield Need("reference", view, gradient=False)
            for need in self.weights.needs(clean) if self.seen else ():
                yield need._replace(gradient=False)

    def terms(self) -> dict[str, Term]:
        """The terms whose values can be told."""
        if not self.adapted:
            return {}
        always: dict[str, Term] = {"dpo": DPO(beta=self.beta), "anchored": Anchored(beta=self.beta)}
        if not self.seen:
            return always
        return {**always, "conditional": Conditional(beta=self.beta), "ue_dpo": DPO(beta=self.beta, weights=self.weights)}

    def weigh(self, views: Views) -> dict[str, Any]:
        """UE-DPO's weights of each answer's tokens."""
        if not self.seen:
            return {}
        return {name: self.weights(views, View(CLEAN, name), preferred=name == CHOSEN).values for name in RESPONSES}


def examine(
    checkpoint: Checkpoint, actors: Actors, frozen: Frozen, lora: dict, batch: Batch, question: Question, corruptions: Corruptions
) -> Examined:
    """What is known of the pair in the first row of `batch`, a host batch of whole rows of one pair each."""
    run = plan(question.needs())

    def compute(frozen: Frozen, lora: dict, batch: Batch) -> tuple[Evaluated, dict, dict]:
        select = actors.select(frozen, lora)
        tokens = evaluate(run, batch, select, shared_tower=actors.shared_tower, chunk=CHUNK, corruptions=corruptions)
        views = Views(tokens)
        return tokens, question.weigh(views), {name: term(views).loss for name, term in question.terms().items()}

    with checkpoint.scope():
        found = actors.compiled(compute)(frozen, lora, placing(checkpoint.mesh, batch.valid.shape[0])(batch))
        tokens, weights, losses = jax.device_get(found)
    answers = {name: _answer(tokens, weights, batch.branches[name].targets[0], name) for name in RESPONSES}
    return Examined(answers, {name: float(loss[0]) for name, loss in losses.items()})


def _answer(tokens: Mapping[tuple[Model, View], Tokens], weights: Mapping[str, np.ndarray], targets: np.ndarray, name: str) -> Answer:
    clean, negative, noised = (tokens.get(("policy", View(image, name))) for image in (CLEAN, NEGATIVE, NOISED))
    reference, of_negative = (tokens.get(("reference", View(image, name))) for image in (CLEAN, NEGATIVE))
    assert clean is not None, "it is always read"
    values: dict[str, Any] = {"logp": clean.logps}
    if reference is not None:
        values["log_ratio"] = clean.logps - reference.logps
    if negative is not None:
        values["drop"] = clean.logps - negative.logps
    if negative is not None and reference is not None and of_negative is not None:
        values["preference"] = values["log_ratio"] - (negative.logps - of_negative.logps)
    guesses = None
    if noised is not None:
        assert clean.logits is not None and noised.logits is not None and noised.likeliest is not None, "a model ran for both"
        values["sensitivity"] = clean.logits - noised.logits
        values["uncertainty"] = clean.guesses[NOISED] - clean.logits
        values["weight"] = weights[name]
        guesses = noised.likeliest[0][clean.scored[0]]
    scored = clean.scored[0]
    return Answer(targets[scored], {key: np.asarray(value[0][scored], np.float64) for key, value in values.items()}, guesses)
