"""Runs a plan: each distinct image goes through the tower once, each (image, prompt) prefix through a decoder once, its responses as
branches; then the head reads the positions of each view.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Bool, Float, Int, Shaped

from jax_mdpo.core.batch import PADDING_SEGMENT, TEXT_SLOT, Batch, Branch, Prefix
from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import Model, View
from jax_mdpo.layers.gathering import gathered
from jax_mdpo.layers.rows import Rows
from jax_mdpo.logprobs.chunked import Asked, Read, read_tokens
from jax_mdpo.models.images import Corruptions, Seen, encode
from jax_mdpo.models.plan import Forward, Plan, Reading
from jax_mdpo.models.protocol import VisionLanguageModel

Evaluated = dict[tuple[Model, View], Tokens]
Modules = Callable[[Model, bool], VisionLanguageModel]


def evaluate(
    run: Plan, batch: Batch, model: Modules, *, shared_tower: bool, chunk: int, corruptions: Corruptions | None = None
) -> Evaluated:
    """The tokens of every view of the plan.

    model: gives the module for (policy or reference, with a gradient or without). shared_tower: no adapter touches the way from
    pixels to features, so one pass of the tower serves them all. chunk: response positions per row whose logits exist at a time.
    corruptions: how the variants come about that the device makes.
    """
    work = _Work(run, batch, cache(model), shared_tower, chunk, corruptions or {})
    for forward in run.forwards:
        work.decode(forward)
    for reading in run.readings:
        work.read(reading)
    return work.evaluated


@dataclass
class _Work:
    """A plan being carried out. hidden: the states that predict a view's tokens. likeliest: the model's own choice of tokens."""

    run: Plan
    batch: Batch
    model: Modules
    shared_tower: bool
    chunk: int
    corruptions: Corruptions
    towers: dict[tuple[Model, bool] | None, Mapping[str, Seen]] = field(default_factory=dict)
    hidden: dict[tuple[Model, View], Float[Array, "B R D"]] = field(default_factory=dict)
    likeliest: dict[tuple[Model, View], Int[Array, "B R"]] = field(default_factory=dict)
    evaluated: Evaluated = field(default_factory=dict)

    def decode(self, forward: Forward) -> None:
        module, batch = self.model(forward.model, forward.gradient), self.batch
        seen, count = [self._tower(forward, module)[image] for image in forward.images], len(forward.images)
        branches = [batch.branches[response] for response in forward.responses]

        def rows(x: Array) -> Array:
            return repeat(x, "B T -> (B v) T", v=count)

        whole = Rows(batch.prefix.segments, tuple(branch.segments for branch in branches), batch.valid.shape[1])
        slots = _of_row(jnp.concatenate([batch.prefix.slots, *(branch.slots for branch in branches)], axis=1), whole, seen[0])
        prefix = rearrange([_without_hidden(batch.prefix, slots, one.visible) for one in seen], "v B P -> (B v) P")
        shape = Rows(prefix, tuple(rows(branch.segments) for branch in branches), whole.pairs)
        ids = rows(jnp.concatenate([batch.prefix.ids, *(branch.ids for branch in branches)], axis=1))
        features = rearrange([one.features for one in seen], "v B F D -> (B v) F D")
        states = module.decode(module.embed(ids, rows(slots), features), shape)[:, batch.prefix.ids.shape[1] :]
        by_view = rearrange(states, "(B v) (n R) D -> v n B R D", v=count, n=len(branches))
        for image, of_image in zip(forward.images, by_view, strict=True):
            for response, of_view in zip(forward.responses, of_image, strict=True):
                self.hidden[forward.model, View(image, response)] = of_view

    def _tower(self, forward: Forward, module: VisionLanguageModel) -> Mapping[str, Seen]:
        key = None if self.shared_tower else (forward.model, forward.gradient)
        if key not in self.towers:
            served = [one for one in self.run.forwards if self.shared_tower or (one.model, one.gradient) == key]
            images = tuple(sorted({image for one in served for image in one.images}))
            self.towers[key] = encode(module, self.batch, images, self.corruptions)
        return self.towers[key]

    def read(self, reading: Reading) -> None:
        model, views, batch = reading.model, reading.views, self.batch

        def stacked(of: Callable[[View], Array]) -> Array:
            return rearrange([of(view) for view in views], "v B R ... -> B (v R) ...")

        def guesses(view: View) -> Int[Array, "B R G"]:
            return jnp.stack([self.likeliest[model, view._replace(image=image)] for image in reading.guesses], axis=-1)

        module = self.model(model, reading.gradient)
        found = read_tokens(
            stacked(lambda view: self.hidden[model, view]),
            Asked(
                targets=stacked(lambda view: batch.branches[view.response].targets),
                candidates=stacked(guesses) if reading.guesses else None,
                against=stacked(lambda view: self.hidden["reference", view]) if reading.divergence else None,
            ),
            gathered(module).logits,
            chunk=self.chunk,
            learning=reading.gradient and module.head_adapted,
            likeliest=reading.likeliest,
            steep_logits=reading.steep_logits,
            reference=gathered(self.model("reference", False)).logits if reading.divergence else None,
        )
        for place, view in enumerate(views):
            read = Read(*(None if leaf is None else rearrange(leaf, "B (v R) ... -> v B R ...", v=len(views))[place] for leaf in found))
            self.evaluated[model, view] = _tokens(read, reading, batch, view.response)
            if read.likeliest is not None:
                self.likeliest[model, view] = read.likeliest


def _of_row(slots: Int[Array, "B T"], rows: Rows, seen: Seen) -> Int[Array, "B T"]:
    """The place among its row's features of a slot among its pair's."""
    each = seen.features.shape[1] // rows.pairs
    return jnp.where(slots == TEXT_SLOT, TEXT_SLOT, (rows.segments - 1) * each + slots)


def _without_hidden(prefix: Prefix, slots: Int[Array, "B T"], visible: Bool[Array, "B F"] | None) -> Int[Array, "B P"]:
    """The prefix's segments, hidden image tokens as if they were padding. (The token that opens a branch is never hidden.)"""
    if visible is None:
        return prefix.segments
    own = slots[:, : prefix.ids.shape[1]]
    hidden = (own != TEXT_SLOT) & ~jnp.take_along_axis(visible, jnp.maximum(own, 0), axis=1)
    return jnp.where(hidden, PADDING_SEGMENT, prefix.segments)


def _tokens(read: Read, reading: Reading, batch: Batch, response: str) -> Tokens:
    pairs = batch.valid.shape[1]
    scored = scored_by_pair(batch.branches[response], pairs)

    def own(values: Shaped[Array, "B R"]) -> Shaped[Array, "E R"]:
        return jnp.where(scored, repeat(values, "B R -> (B K) R", K=pairs), 0)

    candidates = () if read.candidates is None else rearrange(read.candidates, "B R G -> G B R")
    return Tokens(
        own(read.logps),
        scored,
        logits=own(read.logits),
        guesses={image: own(logits) for image, logits in zip(reading.guesses, candidates, strict=True)},
        divergence=None if read.divergence is None else own(read.divergence),
        likeliest=None if read.likeliest is None else own(read.likeliest),
        changed=scored & repeat(batch.changed[response], "B R -> (B K) R", K=pairs) if response in batch.changed else None,
    )


def brought(batch: Batch) -> Evaluated:
    """The reference's log-probs that were computed beforehand, as `evaluate` gives them."""
    pairs = batch.valid.shape[1]
    found: Evaluated = {}
    for view, logps in batch.reference.items():
        scored = scored_by_pair(batch.branches[view.response], pairs)
        found["reference", view] = Tokens(jnp.where(scored, repeat(logps, "B R -> (B K) R", K=pairs), 0.0), scored)
    return found


def scored_by_pair(branch: Branch, pairs: int) -> Bool[Array, "E R"]:
    """Which positions of its row hold a pair's response; E runs over the pairs, row after row."""
    own = branch.segments[:, None, :] == jnp.arange(1, pairs + 1)[:, None]
    return rearrange(own & branch.scored[:, None, :], "B K R -> (B K) R")
