"""From the views that objectives need to the forward passes that run, and back.

Each distinct image goes through the tower once, each (image, prompt) prefix through a decoder once, its responses as branches.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Bool, Float, Int

from jax_mdpo.core.batch import TEXT_SLOT, Batch, Branch
from jax_mdpo.core.views import Model, Need, View
from jax_mdpo.layers.rows import Rows
from jax_mdpo.logprobs.chunked import token_logps
from jax_mdpo.models.protocol import VisionLanguageModel


class Forward(NamedTuple):
    """One pass of a decoder: every image of `images` with every response of `responses` as a branch."""

    model: Model
    gradient: bool
    images: tuple[str, ...]
    responses: tuple[str, ...]


class Plan(NamedTuple):
    """What runs for a set of needs. images: the distinct image variants, in the order they go through the tower."""

    images: tuple[str, ...]
    forwards: tuple[Forward, ...]


class TokenLogps(NamedTuple):
    """Log-probabilities of each pair's response tokens, in nats, float32; zero where `scored` is False.

    E runs over the pairs, R over the positions of the row that a pair stands in: those of others are not scored.
    """

    logps: Float[Array, "E R"]
    scored: Bool[Array, "E R"]


Evaluated = dict[tuple[Model, View], TokenLogps]


def plan(needs: Iterable[Need]) -> Plan:
    """The fewest passes that serve `needs`: images that need the same responses share a pass, side by side."""
    responses: dict[tuple[Model, bool, str], set[str]] = defaultdict(set)
    for need in _strongest(needs):
        responses[need.model, need.gradient, need.view.image].add(need.view.response)
    images: dict[tuple[Model, bool, tuple[str, ...]], list[str]] = defaultdict(list)
    for (model, gradient, image), wanted in sorted(responses.items()):
        images[model, gradient, tuple(sorted(wanted))].append(image)
    forwards = tuple(Forward(model, gradient, tuple(variants), wanted) for (model, gradient, wanted), variants in images.items())
    return Plan(tuple(sorted({image for forward in forwards for image in forward.images})), forwards)


def _strongest(needs: Iterable[Need]) -> set[Need]:
    """A view needed both with and without a gradient runs once, with it."""
    wanted = set(needs)
    return {need for need in wanted if need.gradient or need._replace(gradient=True) not in wanted}


def evaluate(run: Plan, batch: Batch, model: Callable[[Model, bool], VisionLanguageModel], *, shared_tower: bool, chunk: int) -> Evaluated:
    """The token log-probs of every view of the plan.

    model: gives the module for (policy or reference, with a gradient or without). shared_tower: no adapter touches the way from
    pixels to features, so one pass of the tower serves them all. chunk: response positions per row whose logits exist at a time.
    """
    towers: dict[tuple[Model, bool] | None, Mapping[str, Float[Array, "B F D"]]] = {}
    evaluated: Evaluated = {}
    for forward in run.forwards:
        module = model(forward.model, forward.gradient)
        key = None if shared_tower else (forward.model, forward.gradient)
        if key not in towers:
            wanted = run.images if shared_tower else _images(run, forward)
            towers[key] = encode(module, batch, wanted)
        evaluated.update(_evaluate(forward, module, batch, towers[key], chunk))
    return evaluated


def _images(run: Plan, like: Forward) -> tuple[str, ...]:
    same = (forward for forward in run.forwards if (forward.model, forward.gradient) == (like.model, like.gradient))
    return tuple(sorted({image for forward in same for image in forward.images}))


def encode(module: VisionLanguageModel, batch: Batch, variants: tuple[str, ...]) -> dict[str, Float[Array, "B F D"]]:
    """Features of each row's images, one image after the other, by variant; from one pass of the tower.

    A row's variants lie side by side in that pass, so that a sharded batch stays in place. Where the batch brings what the tower
    gives, only the projector runs.
    """
    pairs = batch.valid.shape[1]
    if batch.features:
        seen = rearrange([batch.features[variant] for variant in variants], "v B K P W -> (B v K) P W")
    else:
        seen = module.look(rearrange([batch.images[variant] for variant in variants], "v B K h w C -> (B v K) h w C"))
    features = rearrange(module.project(seen), "(B v K) P D -> v B (K P) D", v=len(variants), K=pairs)
    return dict(zip(variants, features, strict=True))


def _evaluate(
    forward: Forward, module: VisionLanguageModel, batch: Batch, features: Mapping[str, Float[Array, "B F D"]], chunk: int
) -> Evaluated:
    count = len(forward.images)
    branches = [batch.branches[response] for response in forward.responses]

    def rows(x: Array) -> Array:
        return repeat(x, "B T -> (B v) T", v=count)

    shape = Rows(rows(batch.prefix.segments), tuple(rows(branch.segments) for branch in branches), batch.valid.shape[1])
    ids = rows(jnp.concatenate([batch.prefix.ids, *(branch.ids for branch in branches)], axis=1))
    slots = rows(jnp.concatenate([batch.prefix.slots, *(branch.slots for branch in branches)], axis=1))
    seen = rearrange([features[image] for image in forward.images], "v B F D -> (B v) F D")
    hidden = module.decode(module.embed(ids, _of_row(slots, shape, seen), seen), shape)
    start = batch.prefix.ids.shape[1]
    targets = rows(jnp.concatenate([branch.targets for branch in branches], axis=1))
    logps = token_logps(hidden[:, start:], targets, module.logits, chunk=chunk, learning=forward.gradient and module.head_adapted)
    by_view = rearrange(logps, "(B v) (n R) -> v n B R", v=count, n=len(branches))
    return {
        (forward.model, View(image, response)): by_pair(by_view[i, j], branch, shape.pairs)
        for i, image in enumerate(forward.images)
        for j, (response, branch) in enumerate(zip(forward.responses, branches, strict=True))
    }


def _of_row(slots: Int[Array, "B T"], rows: Rows, features: Float[Array, "B F D"]) -> Int[Array, "B T"]:
    """The place among its row's features of a slot among its pair's."""
    each = features.shape[1] // rows.pairs
    return jnp.where(slots == TEXT_SLOT, TEXT_SLOT, (rows.segments - 1) * each + slots)


def by_pair(logps: Float[Array, "B R"], branch: Branch, pairs: int) -> TokenLogps:
    """What stands in rows, pair by pair."""
    own = branch.segments[:, None, :] == jnp.arange(1, pairs + 1)[:, None]
    scored = rearrange(own & branch.scored[:, None, :], "B K R -> (B K) R")
    return TokenLogps(jnp.where(scored, repeat(logps, "B R -> (B K) R", K=pairs), 0.0), scored)
