"""Held-out preference pairs: does the model prefer the chosen answer, and is it the image that makes it do so?

Nothing is generated: the model gives log-probs of both answers, with the pair's own image, with a blank one and with another record's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.mentions import percent
from jax_mdpo.evaluation.benchmarks.protocol import Item, Report
from jax_mdpo.evaluation.verdict import verdict

TRUE, BLANK, OTHER = IMAGES = ("true", "blank", "other")
PART = "pairs"


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
ROWS: Mapping[str, Margin] = {
    "implicit reward": lambda judged: judged.reward_margin,
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
        pairs = [{image: _judged(item.reading[image]) for image in IMAGES if image in item.reading} for item in items]
        adapted = all(pair[TRUE].reference is not None for pair in pairs)
        measures = ROWS if adapted else {name: margin for name, margin in ROWS.items() if name != "implicit reward"}
        seen = [pair for pair in pairs if len(pair) == len(IMAGES)]
        remarks = [verdict(_shares(seen, next(iter(measures.values()))))] if seen else []
        counts = {"pairs with all three images": len(seen)}
        return Report({name: _row(pairs, seen, margin) for name, margin in measures.items()}, 1, {"Accuracy": "more"}, counts, remarks)


def _judged(reading: Mapping[str, Sequence[float]]) -> Judged:
    reference = reading.get("reference")
    return Judged(
        (reading["logp"][0], reading["logp"][1]),
        None if reference is None else (reference[0], reference[1]),
        (int(reading["tokens"][0]), int(reading["tokens"][1])),
    )


def _row(pairs: Sequence[Mapping[str, Judged]], seen: Sequence[Mapping[str, Judged]], margin: Margin) -> dict[str, float]:
    """Accuracies in percent and the mean margin in nats; Blank, Other and what they lack are of pairs that have all images."""
    row = {"Accuracy": percent(sum(margin(pair[TRUE]) > 0 for pair in pairs), len(pairs))}
    if seen:
        shares = _shares(seen, margin)
        row |= {name: 100 * shares[key] for name, key in (("Blank", "accuracy_blank"), ("Other", "accuracy_other"))}
        row |= {f"True − {name}": 100 * (shares["accuracy_true"] - shares[f"accuracy_{name.lower()}"]) for name in ("Blank", "Other")}
    return row | {"Margin": sum(margin(pair[TRUE]) for pair in pairs) / len(pairs)}


def _shares(seen: Sequence[Mapping[str, Judged]], margin: Margin) -> dict[str, float]:
    """What `verdict` reads: the pairs, the shares in the right order, and those whose order the image changes."""
    right = {image: [margin(pair[image]) > 0 for pair in seen] for image in IMAGES}
    found = {"pairs": float(len(seen))}
    for image in IMAGES:
        found[f"accuracy_{image}"] = sum(right[image]) / len(seen)
        found[f"changed_{image}"] = sum(a != b for a, b in zip(right[image], right[TRUE], strict=True)) / len(seen)
    return found
