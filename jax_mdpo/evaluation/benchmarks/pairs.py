"""Held-out preference pairs: does the model prefer the chosen answer, and is it the image that makes it do so?

Nothing is generated: the model gives log-probs of both answers, with the pair's own image, with a blank one and with another record's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.protocol import Figure, Item, Report, Terms, added
from jax_mdpo.evaluation.verdict import verdict

TRUE, BLANK, OTHER = IMAGES = ("true", "blank", "other")
PART = "pairs"
PAIRS, SEEN = ("pairs",), ("seen",)  # what is summed; by measure, and by image:
MEASURED, RIGHT, MARGIN, CHANGED = "measured", "right", "margin", "changed"


class Judged(NamedTuple):
    """One pair given one image: (chosen, rejected). logp: log π(answer | image, prompt), in nats, under the policy; reference: likewise,
    None where there is none. tokens: of each answer, its end token included.
    """

    logp: tuple[float, float]
    reference: tuple[float, float] | None
    tokens: tuple[int, int]

    @property
    def margin(self) -> float:
        """log π(chosen) − log π(rejected)."""
        return self.logp[0] - self.logp[1]

    @property
    def margin_per_token(self) -> float:
        """The same of log-probs divided by the answers' tokens: SimPO's reward (arXiv 2405.14734, equation 4) without its β."""
        return self.logp[0] / self.tokens[0] - self.logp[1] / self.tokens[1]

    @property
    def reward_margin(self) -> float:
        """The margin of log π − log π_ref: DPO's implicit reward (arXiv 2305.18290, equation 5) without its β."""
        assert self.reference is not None, "asked for only where there is a reference"
        return self.margin - (self.reference[0] - self.reference[1])


Margin = Callable[[Judged], float]
REWARD = "implicit reward"
ROWS: Mapping[str, Margin] = {
    REWARD: lambda judged: judged.reward_margin,
    "log-prob": lambda judged: judged.margin,
    "log-prob a token": lambda judged: judged.margin_per_token,
}


@config
class Pairs:
    """Preference accuracy on held-out pairs, and the same with the image taken away (blank) or exchanged (another record's).

    There are no settings. A pair without an image, or for which there is no other one, takes no part in what is compared.
    """

    def report(self, items: Sequence[Item]) -> Report:
        """The share of pairs whose chosen answer has the larger margin, by what it is measured with; the implicit reward where there is
        an adapter. Each reading holds what `Judged` does, by name of the image, in lists.
        """
        return self.total(added(items, self.terms))

    def terms(self, item: Item) -> Terms:
        """One pair, whether it has all images, and by measure: whether it is in the right order given each image, and changed by it."""
        pair = {image: _judged(item.reading[image]) for image in IMAGES if image in item.reading}
        seen = len(pair) == len(IMAGES)
        sums: dict[tuple[str, ...], Figure] = {PAIRS: 1, SEEN: int(seen)}
        for name, margin in ROWS.items():
            if name == REWARD and pair[TRUE].reference is None:
                continue
            right = {image: margin(judged) > 0 for image, judged in pair.items()}
            sums |= {(name, MEASURED): 1, (name, RIGHT): int(right[TRUE]), (name, MARGIN): margin(pair[TRUE])}
            if seen:
                sums |= {(name, RIGHT, image): int(right[image]) for image in IMAGES}
                sums |= {(name, CHANGED, image): int(right[image] != right[TRUE]) for image in IMAGES}
        return sums

    def total(self, sums: Terms) -> Report:
        measures = [name for name in ROWS if sums.get((name, MEASURED), 0) == sums[PAIRS]]  # no reward where any pair lacks it
        shares = {name: _shares(sums, name) for name in measures} if sums[SEEN] else {}
        rows = {name: _row(sums, name, shares.get(name)) for name in measures}
        remarks = [verdict(shares[measures[0]])] if shares else []
        return Report(rows, 1, {"Accuracy": "more"}, {"pairs with all three images": int(sums[SEEN])}, remarks)


def _judged(reading: Mapping[str, Sequence[float]]) -> Judged:
    reference = reading.get("reference")
    return Judged(
        (reading["logp"][0], reading["logp"][1]),
        None if reference is None else (reference[0], reference[1]),
        (int(reading["tokens"][0]), int(reading["tokens"][1])),
    )


def _row(sums: Terms, measure: str, shares: Mapping[str, float] | None) -> dict[str, float]:
    """Accuracies in percent and the mean margin in nats; Blank, Other and what they lack are of pairs that have all images."""
    row = {"Accuracy": 100 * sums[measure, RIGHT] / sums[PAIRS]}
    if shares is not None:
        row |= {name: 100 * shares[key] for name, key in (("Blank", "accuracy_blank"), ("Other", "accuracy_other"))}
        row |= {f"True − {name}": 100 * (shares["accuracy_true"] - shares[f"accuracy_{name.lower()}"]) for name in ("Blank", "Other")}
    return row | {"Margin": sums[measure, MARGIN] / sums[PAIRS]}


def _shares(sums: Terms, measure: str) -> dict[str, float]:
    """What `verdict` reads: the pairs, the shares in the right order, and those whose order the image changes."""
    found = {"pairs": float(sums[SEEN])}
    for image in IMAGES:
        found[f"accuracy_{image}"] = sums[measure, RIGHT, image] / sums[SEEN]
        found[f"changed_{image}"] = sums[measure, CHANGED, image] / sums[SEEN]
    return found
