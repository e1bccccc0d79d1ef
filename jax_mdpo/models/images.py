"""From a batch's images to what the decoder sees of them: corruptions on the device, the tower, the projector."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, UInt32

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.views import CLEAN, NONE
from jax_mdpo.corruptions import Corruption
from jax_mdpo.models.protocol import VisionLanguageModel

Corruptions = Mapping[str, Mapping[int, Corruption]]  # by variant, by the number that a batch's draws give


class Seen(NamedTuple):
    """Features of each row's images, one image after the other. visible: which of them the decoder sees; all where not given."""

    features: Float[Array, "B F D"]
    visible: Bool[Array, "B F"] | None


def encode(module: VisionLanguageModel, batch: Batch, variants: tuple[str, ...], corruptions: Corruptions) -> dict[str, Seen]:
    """What the decoder sees of each variant; all from one pass of the tower.

    A row's variants lie side by side in that pass, so that a sharded batch stays in place. Where the batch brings what the tower
    gives, only the projector runs.
    """
    pairs = batch.valid.shape[1]
    looked_at = tuple(variant for variant in variants if variant != NONE) or (CLEAN,)
    if batch.features:
        seen = rearrange([batch.features[variant] for variant in looked_at], "v B K P W -> (B v K) P W")
    else:
        seen = look_at(module, batch, looked_at, corruptions)
    features = rearrange(module.project(seen), "(B v K) P D -> v B K P D", v=len(looked_at), K=pairs)
    found = {variant: _seen(batch, variant, values, corruptions) for variant, values in zip(looked_at, features, strict=True)}
    if NONE in variants:
        nothing = jnp.zeros_like(found[looked_at[0]].features)
        found[NONE] = Seen(nothing, jnp.zeros(nothing.shape[:2], bool))
    return found


def look_at(module: VisionLanguageModel, batch: Batch, variants: tuple[str, ...], corruptions: Corruptions) -> Float[Array, "N P W"]:
    """What the tower gives of the images, N = B · v · K: row after row, in each variant after variant, pair after pair."""
    pixels = []
    for variant in variants:
        framed = batch.images[variant if variant in batch.images else CLEAN]
        normalised = module.normalise(rearrange(framed, "B K h w C -> (B K) h w C"))
        shaped = rearrange(normalised, "(B K) h w C -> B K h w C", K=framed.shape[1])
        pixels.append(corrupted(shaped, batch.draws.get(variant), corruptions.get(variant, {})))
    return module.look(rearrange(pixels, "v B K h w C -> (B v K) h w C"))


def corrupted(
    pixels: Float[Array, "B K h w C"], draws: UInt32[Array, "B K 3"] | None, corruptions: Mapping[int, Corruption]
) -> Float[Array, "B K h w C"]:
    """Normalised pixels, each image's as the corruption that its draw names leaves them. draws: given where there are corruptions."""
    for number, corruption in corruptions.items():
        numbers, keys = _drawn(draws)
        changed = jax.vmap(jax.vmap(corruption.pixels))(pixels, keys)
        pixels = jnp.where((numbers == number)[..., None, None, None], changed, pixels)
    return pixels


def visible(count: int, draws: UInt32[Array, "B K 3"] | None, corruptions: Mapping[int, Corruption]) -> Bool[Array, "B K P"] | None:
    """Which of each image's `count` tokens the decoder sees; all of them where there is no corruption."""
    seen = None
    for number, corruption in corruptions.items():
        numbers, keys = _drawn(draws)
        kept = jax.vmap(jax.vmap(lambda key, made_by=corruption: made_by.visible(count, key)))(keys)
        kept = jnp.where((numbers == number)[..., None], kept, True)
        seen = kept if seen is None else seen & kept
    return seen


def _seen(batch: Batch, variant: str, features: Float[Array, "B K P D"], corruptions: Corruptions) -> Seen:
    shown = visible(features.shape[2], batch.draws.get(variant), corruptions.get(variant, {}))
    rows = rearrange(features, "B K P D -> B (K P) D")
    return Seen(rows, None if shown is None else rearrange(shown, "B K P -> B (K P)"))


def _drawn(draws: UInt32[Array, "B K 3"] | None) -> tuple[UInt32[Array, "B K"], jax.Array]:
    """The corruptions' numbers and keys."""
    assert draws is not None, "what the device draws is drawn from words that come with the batch"
    return draws[..., 0], jax.random.wrap_key_data(draws[..., 1:], impl="threefry2x32")
