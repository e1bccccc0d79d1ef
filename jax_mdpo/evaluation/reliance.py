"""Does the preference depend on the image? The same pairs are judged with their own image, with a blank one and with another record's."""

from collections.abc import Callable, Mapping

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

LogPs = Mapping[str, Float[Array, " E"]]  # by response, in nats


def seen_as(batch: Batch, image: str) -> Batch:
    """The batch with a variant in the place of its own images: one program then serves all variants."""
    return batch._replace(images={CLEAN: batch.images[image]})


def make_reference_logps(actors: Actors, chunk: int) -> Callable[[Frozen, dict, Batch], LogPs]:
    """The compiled (frozen, lora, batch) → log π_ref(answer | image, prompt) of both answers."""

    def logps(frozen: Frozen, lora: dict, batch: Batch) -> LogPs:
        views = _evaluated("reference", actors, chunk, frozen, lora, batch)
        return {answer: views.logp("reference", View(CLEAN, answer)) for answer in ANSWERS}

    return actors.compiled(logps)


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

    return actors.compiled(judge)


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
