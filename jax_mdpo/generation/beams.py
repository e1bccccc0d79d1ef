"""Beam search as transformers has it (generation/utils.py, `_beam_search`): the likeliest whole answer among candidates kept side by side.

Each step looks at the best continuations of all running candidates. Those among the best `beams` that end are finished, and compete by
log-probability / tokens ^ length_penalty; the best that do not end run on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Bool, Float, Int, UInt32

from jax_mdpo.core.batch import Batch
from jax_mdpo.generation.chain import NOTHING
from jax_mdpo.generation.prefill import prefill
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.layers.cache import Cache
from jax_mdpo.models.protocol import VisionLanguageModel

WORST = -1e9  # a score below all others, finite as in transformers


class Candidates(NamedTuple):
    """M answers a row with their scores, in nats; the best first. tokens: NOTHING where there is none."""

    tokens: Int[Array, "B M N"]
    scores: Float[Array, "B M"]

    def pick(self, chosen: Int[Array, "B C"]) -> "Candidates":
        """Those at these places."""
        return Candidates(jnp.take_along_axis(self.tokens, chosen[..., None], axis=1), jnp.take_along_axis(self.scores, chosen, axis=1))


class Beams(NamedTuple):
    """A search under way. running, finished: scores of running ones are log-probabilities, of finished ones penalised by length.

    full: which of `finished` are answers. hopeful: which rows may still find a better one. count: tokens of the running ones.
    """

    cache: Cache
    running: Candidates
    finished: Candidates
    full: Bool[Array, "B M"]
    hopeful: Bool[Array, " B"]
    count: Int[Array, ""]


@dataclass(frozen=True)
class BeamSearch:
    """Pure functions over Beams, to be compiled. ends: the tokens that end an answer."""

    settings: Decoding
    ends: tuple[int, ...]

    def begin(self, module: VisionLanguageModel, batch: Batch, keys: UInt32[Array, "B 2"]) -> Beams:
        """Reads each prompt once; its beams share what was read. Rows without a prompt have no hope. keys: nothing is drawn."""
        beams, room = self.settings.beams, self.settings.max_tokens
        logits, cache = prefill(module, batch, room)
        rows = logits.shape[0]
        empty = jnp.full((rows, beams, room), NOTHING, jnp.int32)
        first = jnp.where(jnp.arange(beams) == 0, 0.0, WORST)  # equal beams would find the same continuations
        start = Beams(
            cache.rows(jnp.repeat(jnp.arange(rows), beams)),
            Candidates(empty, jnp.broadcast_to(first, (rows, beams))),
            Candidates(empty, jnp.full((rows, beams), WORST)),
            jnp.zeros((rows, beams), bool),
            batch.valid[:, 0],
            jnp.zeros((), jnp.int32),
        )
        return self._chosen(start, repeat(logits, "B V -> B M V", M=beams))

    def advance(self, module: VisionLanguageModel, beams: Beams) -> Beams:
        """One more token of every running candidate."""
        last = jax.lax.dynamic_index_in_dim(beams.running.tokens, beams.count - 1, axis=2, keepdims=False)
        hidden, cache = module.extend(jnp.maximum(rearrange(last, "B M -> (B M)"), 0), beams.cache)
        logits = rearrange(module.logits(hidden), "(B M) 1 V -> B M V", M=self.settings.beams)
        return self._chosen(beams._replace(cache=cache), logits)

    def goes_on(self, beams: Beams) -> Bool[Array, ""]:
        """Whether any row's search does."""
        return jnp.any(beams.hopeful) & (beams.count < beams.running.tokens.shape[2])

    def answers(self, beams: Beams) -> Int[Array, "B N"]:
        """The best finished answer of each row."""
        return beams.finished.tokens[:, 0]

    def _chosen(self, beams: Beams, logits: Float[Array, "B M V"]) -> Beams:
        found, parents = self._continuations(beams, logits)
        count = beams.count + 1
        last = jax.lax.dynamic_index_in_dim(found.tokens, beams.count, axis=2, keepdims=False)
        ends = jnp.isin(last, jnp.asarray(self.ends, jnp.int32)) | (count == found.tokens.shape[2])
        finished, full = self._finish(beams, found, ends, count)
        going, chosen = self._best(found._replace(scores=jnp.where(ends, found.scores + WORST, found.scores)))
        own = jnp.take_along_axis(parents, chosen, axis=1) + self.settings.beams * jnp.arange(parents.shape[0])[:, None]
        cache = beams.cache.rows(rearrange(own, "B M -> (B M)"))
        hopeful = beams.hopeful & self._may_improve(going, finished, full, count)
        return Beams(cache, going, finished, full, hopeful, count)

    def _continuations(self, beams: Beams, logits: Float[Array, "B M V"]) -> tuple[Candidates, Int[Array, "B C"]]:
        """The best next tokens of all candidates together, and whose they are: enough that `beams` of them do not end."""
        vocabulary = logits.shape[-1]
        scores = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1) + beams.running.scores[..., None]
        enough = max(2, 1 + len(self.ends)) * self.settings.beams
        best, places = jax.lax.top_k(rearrange(scores, "B M V -> B (M V)"), min(enough, self.settings.beams * vocabulary))
        parents = places // vocabulary
        tokens = beams.running.pick(parents).tokens
        written = jax.lax.dynamic_update_slice_in_dim(tokens, (places % vocabulary)[..., None], beams.count, axis=2)
        return Candidates(written, best), parents

    def _finish(
        self, beams: Beams, found: Candidates, ends: Bool[Array, "B C"], count: Int[Array, ""]
    ) -> tuple[Candidates, Bool[Array, "B M"]]:
        """The finished answers, with those that end now where they are better. Only what is among the best `beams` may end."""
        ending = ends & (jnp.arange(ends.shape[1]) < self.settings.beams) & beams.hopeful[:, None]
        if self.settings.early_stopping is True:
            ending = ending & ~jnp.all(beams.full, axis=1, keepdims=True)
        scores = jnp.where(ending, found.scores / self._penalty(count), WORST)
        both = Candidates(*(jnp.concatenate(pair, axis=1) for pair in zip(beams.finished, (found.tokens, scores), strict=True)))
        best, chosen = self._best(both)
        return best, jnp.take_along_axis(jnp.concatenate([beams.full, ending], axis=1), chosen, axis=1)

    def _best(self, candidates: Candidates) -> tuple[Candidates, Int[Array, "B M"]]:
        chosen = jax.lax.top_k(candidates.scores, self.settings.beams)[1]
        return candidates.pick(chosen), chosen

    def _may_improve(self, going: Candidates, finished: Candidates, full: Bool[Array, "B M"], count: Int[Array, ""]) -> Bool[Array, " B"]:
        """Whether the best running candidate, were it to end at once, or as late as it may, would beat a finished answer."""
        stopping = self.settings.early_stopping
        late = stopping == "never" and self._exponent > 0
        reach = going.scores[:, 0] / self._penalty(jnp.asarray(self.settings.max_tokens) if late else count)
        worst = jnp.where(full, jnp.min(finished.scores, axis=1, keepdims=True), WORST)
        hope = jnp.any(reach[:, None] > worst, axis=1)
        return hope & ~jnp.all(full, axis=1) if stopping is True else hope

    @property
    def _exponent(self) -> float:
        return 1.0 if self.settings.length_penalty is None else self.settings.length_penalty

    def _penalty(self, count: Int[Array, ""]) -> Float[Array, ""]:
        return count.astype(jnp.float32) ** self._exponent
