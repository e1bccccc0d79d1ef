"""Requests to answers, batch after batch, in programs that are compiled once for each length of prompts."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import numpy as np

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.errors import ConfigError, RecordError
from jax_mdpo.core.seeds import generator
from jax_mdpo.core.views import CLEAN
from jax_mdpo.data.batches import Bucket
from jax_mdpo.data.collate import collate
from jax_mdpo.data.layout import LaidOut
from jax_mdpo.generation.beams import BeamSearch
from jax_mdpo.generation.chain import NOTHING, Chain
from jax_mdpo.generation.requests import Answer, Prepared, Reader, Request
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.generation.text import Stream, text_of
from jax_mdpo.models.actors import Actors, AdapterWeights, Frozen, make_actors
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.protocol import VisionLanguageModel
from jax_mdpo.sharding.placing import batch_ways, placing

FINENESS = 8  # padding adds less than one part in so many to a long prompt: that many programs for each doubling of length
SHORTEST = 16  # tokens of a padded prompt, and the least between two lengths
READERS = 4  # threads that open images
KEPT = 8  # models and methods whose programs stay compiled

Skip = Callable[[str | int, RecordError], None]


@dataclass(frozen=True)
class Programs:
    """The compiled functions over a state, which is Chains, or the Beams of a beam search. complete: as far as it goes.

    advance and complete take the state's memory.
    """

    begin: Callable[[Frozen, dict, Batch, Any], Any]
    advance: Callable[[Frozen, dict, Any], Any]
    complete: Callable[[Frozen, dict, Any], Any]


@dataclass(frozen=True)
class Generator:
    """A model that answers. Weights lie on its mesh; rows of a batch are split over it as in training. rows: requests at a time."""

    checkpoint: Checkpoint
    actors: Actors
    frozen: Frozen
    lora: dict
    settings: Decoding
    rows: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, settings: Decoding, *, adapter: AdapterWeights | None = None, rows: int = 8) -> "Generator":
        """rows is rounded up to what the mesh splits evenly. Raises ConfigError where several processes share the mesh."""
        return cls.over(checkpoint, *make_actors(checkpoint, adapter), settings, rows=rows)

    @classmethod
    def over(cls, checkpoint: Checkpoint, actors: Actors, frozen: Frozen, lora: dict, settings: Decoding, *, rows: int) -> "Generator":
        """Of a policy that is there already, such as one in training."""
        if jax.process_count() > 1:
            raise ConfigError("generation runs in one process", got=f"{jax.process_count()}", fix="start it without --distributed")
        ways = batch_ways(checkpoint.mesh)
        return cls(checkpoint, actors, frozen, lora, settings, -(-rows // ways) * ways)

    def answers(self, requests: Iterable[Request], skip: Skip | None = None) -> Iterator[Answer]:
        """One answer a request, in order.

        skip: is told of each request that cannot be used, which then has no answer; without it the first one's RecordError is raised.
        """
        return itertools.chain.from_iterable(self.batches(requests, skip))

    def batches(self, requests: Iterable[Request], skip: Skip | None = None) -> Iterator[list[Answer]]:
        """The same, batch by batch: `rows` answers each but the last; the next batch's images are read while the device works."""
        with ThreadPoolExecutor(READERS) as pool:
            usable = self._usable(requests, skip, pool)
            batches = iter(lambda: list(itertools.islice(usable, self.rows)), [])
            batch = next(batches, None)
            while batch is not None:
                running = self._run(batch)
                following = next(batches, None)
                yield list(self._answers(batch, running))
                batch = following

    def stream(self, request: Request) -> Iterator[str]:
        """The text of one answer, as its tokens come. For beam search, which changes its mind, all at its end."""
        prepared = self._reader(request)
        if isinstance(self._method, BeamSearch):
            yield next(self._answers([prepared], self._run([prepared]))).text
            return
        text, going = Stream(self.checkpoint.processor), True
        with self.checkpoint.scope():
            chains = self._begun([prepared])
        while going:
            going, newest = bool(self._method.goes_on(chains)), int(chains.tokens[0, chains.count - 1])
            with self.checkpoint.scope():
                chains = self._programs.advance(self.frozen, self.lora, chains) if going else chains
            yield text.push(newest)
        yield text.end()

    def _usable(self, requests: Iterable[Request], skip: Skip | None, pool: ThreadPoolExecutor) -> Iterator[Prepared]:
        source = iter(requests)

        def read(request: Request) -> Prepared | RecordError:
            try:
                return self._reader(request)
            except RecordError as error:
                return error

        while some := list(itertools.islice(source, self.rows)):
            for request, found in zip(some, pool.map(read, some), strict=True):
                if isinstance(found, Prepared):
                    yield found
                elif skip is None:
                    raise found
                else:
                    skip(request.id, found)

    def _run(self, prepared: Sequence[Prepared]) -> Any:
        """The answers' tokens, on their way."""
        with self.checkpoint.scope():
            return self._method.answers(self._programs.complete(self.frozen, self.lora, self._begun(prepared)))

    def _begun(self, prepared: Sequence[Prepared]) -> Any:
        ids = [one.request.id for one in prepared]
        seed = self.settings.seed or 0
        keys = np.zeros((self.rows, 2), np.uint32)
        for row, id in enumerate(ids):
            keys[row] = generator(seed, "generation", id).integers(0, 2**32, 2, dtype=np.uint32)
        put = placing(self.checkpoint.mesh, self.rows)
        return self._programs.begin(self.frozen, self.lora, put(self._collated(prepared)), put(keys))

    def _collated(self, prepared: Sequence[Prepared]) -> Batch:
        """Prompts as the prefixes of a batch without branches."""
        longest = max(len(one.prompt.ids) for one in prepared)
        missing = [None] * (self.rows - len(prepared))
        return collate(
            [*(LaidOut({"prompt": one.prompt}, len(one.prompt.ids)) for one in prepared), *missing],
            {CLEAN: [*(one.image for one in prepared), *missing]},
            Bucket(padded(longest), 0),
            np.asarray(self.checkpoint.processor.blank()),
            responses=(),
        )

    def _answers(self, prepared: Sequence[Prepared], tokens: Any) -> Iterator[Answer]:
        for one, row in zip(prepared, np.asarray(jax.device_get(tokens)), strict=False):
            found = row[row != NOTHING].tolist()
            ended = bool(found) and found[-1] in self.checkpoint.processor.end_ids
            yield Answer(one.request.id, text_of(self.checkpoint.processor, found), found, ended)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.checkpoint.processor)

    @cached_property
    def _method(self) -> Chain | BeamSearch:
        ends = tuple(sorted(self.checkpoint.processor.end_ids))
        return (Chain if self.settings.beams == 1 else BeamSearch)(self.settings, ends)

    @property
    def _programs(self) -> Programs:
        return compiled(self.actors, self._method)


def padded(length: int) -> int:
    """The length that a prompt of `length` tokens is padded to: few different ones, so that few programs are compiled."""
    multiple = max(SHORTEST, 2 ** (length - 1).bit_length() // (2 * FINENESS))
    return -(-length // multiple) * multiple


@lru_cache(KEPT)
def compiled(actors: Actors, method: Chain | BeamSearch) -> Programs:
    """The same for equal models, so that a second call, or a training run's next one with other factors, compiles nothing."""

    def model(frozen: Frozen, lora: dict) -> VisionLanguageModel:
        return actors.select(frozen, lora)("policy", False)

    def begin(frozen: Frozen, lora: dict, batch: Batch, keys: jax.Array) -> Any:
        return method.begin(model(frozen, lora), batch, keys)

    def advance(frozen: Frozen, lora: dict, state: Any) -> Any:
        return method.advance(model(frozen, lora), state)

    def complete(frozen: Frozen, lora: dict, state: Any) -> Any:
        module = model(frozen, lora)
        return jax.lax.while_loop(method.goes_on, lambda state: method.advance(module, state), state)

    return Programs(jax.jit(begin), *(jax.jit(program, donate_argnums=2) for program in (advance, complete)))
