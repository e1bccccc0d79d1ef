"""Does the preference depend on the image? The same pairs are judged with their own image, with a blank one and with another record's."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float

from jax_mdpo.core.batch import TEXT_SLOT, Batch, Branch, Prefix
from jax_mdpo.core.views import BLANK, CHOSEN, CLEAN, OTHER, REJECTED, Model, Need, View
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.plan import plan
from jax_mdpo.models.views import evaluate
from jax_mdpo.objectives.term import Views

IMAGES = {"true": CLEAN, "blank": BLANK, "other": OTHER}  # the variant of the image by its name in the log
ANSWERS = (CHOSEN, REJECTED)
NOTABLE = 0.1  # of the pairs: accuracies whose difference is known less exactly than that are not called equal

LogPs = Mapping[str, Float[Array, " E"]]  # by response, in nats


def seen_as(batch: Batch, image: str) -> Batch:
    """The batch with a variant in the place of its own images: one program then serves all variants."""
    return batch._replace(images={CLEAN: batch.images[image]})


def make_reference_logps(actors: Actors, chunk: int) -> Callable[[Frozen, dict, Batch], LogPs]:
    """The compiled (frozen, lora, batch) → log π_ref(answer | image, prompt) of both answers."""

    def logps(frozen: Frozen, lora: dict, batch: Batch) -> LogPs:
        views = _evaluated("reference", actors, chunk, frozen, lora, batch)
        return {answer: views.logp("reference", View(CLEAN, answer)) for answer in ANSWERS}

    return jax.jit(logps)


def make_judgement(actors: Actors, chunk: int) -> Callable[[Frozen, dict, Batch, LogPs], Bool[Array, " E"]]:
    """The compiled (frozen, lora, batch, reference's log-probs) → whether the chosen answer's implicit reward is the higher one.

    The reward is log π − log π_ref, whatever β. Without the reference's log-probs it is log π / |y|, with |y| the answer's tokens: that of
    objectives which read no reference (SimPO, arXiv 2405.14734, equation 4).
    """

    def judge(frozen: Frozen, lora: dict, batch: Batch, reference: LogPs) -> Bool[Array, " E"]:
        views = _evaluated("policy", actors, chunk, frozen, lora, batch)

        def reward(answer: str) -> Float[Array, " E"]:
            logp = views.logp("policy", View(CLEAN, answer))
            return logp - reference[answer] if reference else logp / views.length(View(CLEAN, answer))

        return reward(CHOSEN) > reward(REJECTED)

    return jax.jit(judge)


def _evaluated(model: Model, actors: Actors, chunk: int, frozen: Frozen, lora: dict, batch: Batch) -> Views:
    run = plan(Need(model, View(CLEAN, answer), gradient=False) for answer in ANSWERS)
    return Views(evaluate(run, batch, actors.select(frozen, lora), shared_tower=actors.shared_tower, chunk=chunk))


@jax.jit
def sums(judged: dict[str, Bool[Array, " E"]], batch: Batch) -> dict[str, Float[Array, ""]]:
    """Over the valid pairs that have an image, from whether each is in the right order by name of the image.

    pairs: how many. accuracy_<name>: how many are in the right order. changed_<name>: how many are so either with that image or with the
    true one.
    """
    counted = rearrange(batch.valid, "B K -> (B K)") & _has_image(batch)
    right = {f"accuracy_{name}": found for name, found in judged.items()}
    changed = {f"changed_{name}": found != judged["true"] for name, found in judged.items() if name != "true"}
    return {name: jnp.sum(found & counted, dtype=jnp.float32) for name, found in {"pairs": counted, **right, **changed}.items()}


def _has_image(batch: Batch) -> Bool[Array, " E"]:
    """Whether an image feature stands at any position of a pair."""
    own = jnp.arange(1, batch.valid.shape[1] + 1)[:, None]
    parts: list[Prefix | Branch] = [batch.prefix, *batch.branches.values()]
    found = [jnp.any((part.segments[:, None] == own) & (part.slots != TEXT_SLOT)[:, None], axis=-1) for part in parts]
    return rearrange(jnp.any(jnp.stack(found), axis=0), "B K -> (B K)")


class _Comparison(NamedTuple):
    """The true image against another one on the same pairs (McNemar's test).

    pairs: how many. more: how many more are in the right order with the true image. changed: how many are so with one of the two only.
    """

    pairs: int
    more: int
    changed: int

    @property
    def error(self) -> float:
        """Of `more`: twice its deviation where each changed pair does so either way with probability ½ and the image has no effect.

        No less than 3, since that many unseen changes are compatible with none seen (rule of three, 95 %).
        """
        return max(2 * math.sqrt(self.changed), 3.0)

    @property
    def gain(self) -> int:
        """1 or −1 where the true image gives more or fewer right pairs, beyond the error; else 0."""
        return 0 if abs(self.more) <= self.error else int(math.copysign(1, self.more))

    def __str__(self) -> str:
        more, error, changed = (count / max(self.pairs, 1) for count in (self.more, self.error, self.changed))
        return f"{100 * more:+.1f} ± {100 * error:.1f} points; {changed:.1%} change"


def verdict(found: Mapping[str, float]) -> str:
    """What the figures say, in words. found: `pairs`, and accuracies and changes as shares of them, named as in `sums`."""
    blank, other = (_compared(found, name) for name in ("blank", "other"))
    figures = (
        f"{found['accuracy_true']:.1%} with the true image, {found['accuracy_blank']:.1%} with a blank one ({blank}), "
        f"{found['accuracy_other']:.1%} with another record's ({other})"
    )
    return f"image reliance: of {found['pairs']:.0f} held-out pairs in the right order: {figures}: {_conclusion(blank, other)}"


def _compared(found: Mapping[str, float], name: str) -> _Comparison:
    pairs = found["pairs"]
    more = (found["accuracy_true"] - found[f"accuracy_{name}"]) * pairs
    return _Comparison(round(pairs), round(more), round(found[f"changed_{name}"] * pairs))


def _conclusion(blank: _Comparison, other: _Comparison) -> str:
    few = NOTABLE * blank.pairs
    if min(blank.gain, other.gain) < 0:
        return "the true image misleads the model"
    if other.gain > 0:
        return "the model leans on the image"
    if blank.gain > 0:
        return "the model prefers by language and by there being an image, whichever it is"
    if max(blank.error, other.error) > few:
        return "too few pairs to tell whether the model looks at the image"
    if max(blank.changed, other.changed) > few:
        return "the image sways the model, but what it gets right it owes to language alone"
    return "the model prefers by language alone"
