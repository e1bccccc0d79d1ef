"""How many floating-point operations a preference pair takes, counted from a model's sizes.

What is counted: every matrix product, two operations for a multiplication with its addition. What is not: softmax, norms, activations,
embeddings and the optimiser, together well below one percent of a 7B model's step.

- A decoder token costs 2 · (all decoder matrices), and 2 · (all adapter factors) where an adapter is on.
- Attention costs 4 · layers · (heads · head size) for every pair of a query with a key that it may see: 2 for the scores, 2 for the
  weighted values. A causal sequence of T tokens has T (T + 1) / 2 such pairs, a branch of R tokens after a prefix of P has
  R · P + R (R + 1) / 2.
- The head costs 2 · (width · vocabulary) for each position it runs on.
- The way back: the base is frozen, so each of its products has one product behind it, the gradient of its input; adapters have two,
  that of their factors too; attention has twice its forward work. Nothing flows back into a tower that has no adapter.

Tokens are real ones: padding, rematerialisation and work that a program does beyond this are its own affair (planning/program.py counts
what a program does; the ratio says how close it is).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What a vision-language model's arithmetic depends on.

    decoder: parameters of all decoder matrices. attention: decoder layers · query heads · head size. head: width · vocabulary.
    image: operations from one image's pixels to its features.
    """

    decoder: int
    attention: int
    head: int
    image: int


@dataclass(frozen=True)
class Row:
    """A prefix and the branches that continue it, in tokens. The prefix holds the prompt and the image's positions."""

    prefix: int
    branches: tuple[int, ...]

    @property
    def tokens(self) -> int:
        return self.prefix + sum(self.branches)

    @property
    def seen(self) -> int:
        """Pairs of a query with a key that it may see."""
        return _triangle(self.prefix) + sum(branch * self.prefix + _triangle(branch) for branch in self.branches)


def _triangle(length: int) -> int:
    return length * (length + 1) // 2


def decoder_forward(sizes: Sizes, row: Row, *, lora: int = 0) -> int:
    """Operations of the decoder over a row. lora: parameters of the adapter's factors that run; none for a bare base."""
    return 2 * (sizes.decoder + lora) * row.tokens + 4 * sizes.attention * row.seen


def decoder_backward(sizes: Sizes, row: Row, *, lora: int) -> int:
    """Operations from the gradient of a row's hidden states to that of every factor."""
    return 2 * (sizes.decoder + 2 * lora) * row.tokens + 8 * sizes.attention * row.seen


def head_work(sizes: Sizes, positions: int) -> int:
    """Operations of the frozen head in one direction; forward and backward are alike."""
    return 2 * sizes.head * positions


def training(sizes: Sizes, row: Row, *, lora: int, head_positions: int) -> int:
    """Forward and backward of the policy over a row."""
    decoder = decoder_forward(sizes, row, lora=lora) + decoder_backward(sizes, row, lora=lora)
    return decoder + 2 * head_work(sizes, head_positions)


def least_work(sizes: Sizes, rows: Iterable[Row], *, lora: int, images: int, read: Iterable[Row] = ()) -> int:
    """The least a step does for a pair: each distinct image encoded once, each prefix once for all its responses, the reference's
    log-probabilities read from a cache, the head on response positions only.

    rows: what the policy reads with a gradient; for mDPO the true image with two branches and the hard negative with one.
    images: distinct images of the pair. read: what the policy reads without one, as for token weights.
    """
    reading = sum(decoder_forward(sizes, row, lora=lora) + head_work(sizes, sum(row.branches)) for row in read)
    return images * sizes.image + reading + sum(training(sizes, row, lora=lora, head_positions=sum(row.branches)) for row in rows)


def mdpo_rows(prefix: int, chosen: int, rejected: int) -> tuple[Row, Row]:
    """The rows of mDPO (arXiv 2406.11839): (image, both responses), (hard negative, chosen)."""
    return Row(prefix, (chosen, rejected)), Row(prefix, (chosen,))


def authors_work(sizes: Sizes, prefix: int, chosen: int, rejected: int, *, lora: int, rematerialised: bool) -> int:
    """The released mDPO recipe: policy and reference each over (image, chosen), (image, rejected) and (crop, chosen) as sequences of their
    own, the tower every time, the head on every position.

    rematerialised: with gradient checkpointing over whole decoder layers, as it ships: the policy's decoder runs forward once more.
    """
    work = 0
    for response in (chosen, rejected, chosen):
        row = Row(prefix, (response,))
        policy = training(sizes, row, lora=lora, head_positions=row.tokens)
        again = decoder_forward(sizes, row, lora=lora) if rematerialised else 0
        reference = decoder_forward(sizes, row) + head_work(sizes, row.tokens)
        work += policy + again + reference + 2 * sizes.image
    return work
