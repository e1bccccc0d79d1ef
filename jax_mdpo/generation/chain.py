"""One continuation of each prompt, token after token: greedy or sampled."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, UInt32

from jax_mdpo.core.batch import Batch
from jax_mdpo.generation.choosing import choose
from jax_mdpo.generation.prefill import prefill
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.layers.cache import Cache
from jax_mdpo.models.protocol import VisionLanguageModel

NOTHING = -1  # where an answer has no token


class Chains(NamedTuple):
    """Answers that are being written. N is the most tokens that one may have.

    tokens: NOTHING after an answer's end. count: how many places are written. open: which answers go on. keys: of the draws, by row.
    """

    cache: Cache
    tokens: Int[Array, "B N"]
    count: Int[Array, ""]
    open: Bool[Array, " B"]
    keys: UInt32[Array, "B 2"]


@dataclass(frozen=True)
class Chain:
    """Pure functions over Chains, to be compiled. ends: the tokens that end an answer."""

    settings: Decoding
    ends: tuple[int, ...]

    def begin(self, module: VisionLanguageModel, batch: Batch, keys: UInt32[Array, "B 2"]) -> Chains:
        """Reads the prompts and chooses the first tokens. Rows without a prompt are never open."""
        room = self.settings.max_tokens
        logits, cache = prefill(module, batch, room)
        tokens = jnp.full((logits.shape[0], room), NOTHING, jnp.int32)
        return self._chosen(Chains(cache, tokens, jnp.zeros((), jnp.int32), batch.valid[:, 0], keys), logits)

    def advance(self, module: VisionLanguageModel, chains: Chains) -> Chains:
        """One more token of every open answer."""
        last = jax.lax.dynamic_index_in_dim(chains.tokens, chains.count - 1, axis=1, keepdims=False)
        hidden, cache = module.extend(jnp.maximum(last, 0), chains.cache)
        return self._chosen(chains._replace(cache=cache), module.logits(hidden)[:, 0])

    def goes_on(self, chains: Chains) -> Bool[Array, ""]:
        """Whether any answer does."""
        return jnp.any(chains.open) & (chains.count < chains.tokens.shape[1])

    def answers(self, chains: Chains) -> Int[Array, "B N"]:
        """The tokens, NOTHING after each answer's end."""
        return chains.tokens

    def _chosen(self, chains: Chains, logits: Array) -> Chains:
        chosen = choose(logits, self.settings, chains.keys, chains.count)
        written = jnp.where(chains.open, chosen, NOTHING)
        tokens = jax.lax.dynamic_update_slice_in_dim(chains.tokens, written[:, None], chains.count, axis=1)
        still = chains.open & ~jnp.isin(chosen, jnp.asarray(self.ends, jnp.int32))
        return chains._replace(tokens=tokens, count=chains.count + 1, open=still)
