"""What the tokens of a pair's answers add up to: rewards, margins and losses."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Values = Mapping[str, Sequence[float]]


class Row(NamedTuple):
    """An answer given an image. value: its reward, or without an adapter its log-prob, in nats. start, length: of its bar, as shares."""

    answer: str
    image: str
    value: float
    start: float
    length: float


class Margin(NamedTuple):
    """What a term compares. value: in nats. loss: of the pair; none without an adapter. key: of the term."""

    key: str
    label: str
    value: float
    loss: float | None


class Rewards(NamedTuple):
    """adapted: whether these are rewards or, without an adapter, plain log-probs. zero: where the bars start, as a share."""

    adapted: bool
    zero: float
    rows: tuple[Row, ...]
    margins: tuple[Margin, ...]

    @classmethod
    def of(cls, chosen: Values, rejected: Values, losses: Mapping[str, float], beta: float) -> "Rewards":
        """From the tokens' values. The hard negative's rows are there where the pair has an image."""
        adapted = "log_ratio" in chosen
        of_image, of_both, factor = ("log_ratio", "preference", beta) if adapted else ("logp", "drop", 1.0)
        given = {(name, "image"): factor * math.fsum(values[of_image]) for name, values in _named(chosen, rejected)}
        if of_both in chosen:
            for name, values in _named(chosen, rejected):
                given[name, "hard negative"] = given[name, "image"] - factor * math.fsum(values[of_both])
        least, most = min(0.0, *given.values()), max(0.0, *given.values())
        room = most - least or 1.0
        rows = tuple(Row(*of, value, (min(value, 0.0) - least) / room, abs(value) / room) for of, value in given.items())
        return cls(adapted, -least / room, rows, tuple(_margins(given, losses, chosen, rejected, beta)))


def _named(chosen: Values, rejected: Values) -> tuple[tuple[str, Values], tuple[str, Values]]:
    return ("chosen", chosen), ("rejected", rejected)


def _margins(
    given: Mapping[tuple[str, str], float], losses: Mapping[str, float], chosen: Values, rejected: Values, beta: float
) -> list[Margin]:
    true = given["chosen", "image"]
    found = [Margin("dpo", "chosen − rejected", true - given["rejected", "image"], losses.get("dpo"))]
    if ("chosen", "hard negative") in given:
        found.append(Margin("conditional", "image − hard negative", true - given["chosen", "hard negative"], losses.get("conditional")))
    if "anchored" in losses:
        found.append(Margin("anchored", "chosen above 0", true, losses["anchored"]))
    if "ue_dpo" in losses:
        found.append(
            Margin("ue_dpo", "chosen − rejected, tokens weighted", _weighted(chosen, beta) - _weighted(rejected, beta), losses["ue_dpo"])
        )
    return found


def _weighted(values: Values, beta: float) -> float:
    """β · Σ_t [λ_t log π − log π_ref]: the weights are of the policy's log-probs alone."""
    terms = zip(values["weight"], values["logp"], values["log_ratio"], strict=True)
    return beta * math.fsum(weight * logp - (logp - ratio) for weight, logp, ratio in terms)
