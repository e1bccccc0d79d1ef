"""People's judgements of two models' answers: the files that the blind page gives, and their figures."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from jax_mdpo.core.errors import UserError, nearest
from jax_mdpo.evaluation.agreement import agreement, cohen_kappa, fleiss_kappa, wilson
from jax_mdpo.evaluation.benchmarks.protocol import Figure

CHOICES = ("A", "tie", "B")  # as the page gives them
WIN, TIE, LOSS = "win", "tie", "loss"  # of the second evaluation

Results = Mapping[str, str]  # an item's place on the page → win, tie or loss


@dataclass(frozen=True)
class Judgements:
    """One judge's. name: as given on the page, or the file's. digest: of the file. made: an item → A, tie or B."""

    name: str
    digest: str
    made: Mapping[str, str]


def read_judgements(files: Sequence[Path], *, page: str, items: Collection[str]) -> list[Judgements]:
    """What each file holds. page: the digest that they must carry. items: those of the page.

    Raises UserError for a file of another page, items or choices that the page does not have, and two files of one judge.
    """
    judges: list[Judgements] = []
    for file in files:
        judge = _read(file, page, items)
        twice = [known.name for known in judges if known.name == judge.name or known.digest == judge.digest]
        if twice:
            raise UserError(
                f"{file} holds judgements of {judge.name!r}, which another file holds too",
                expected="one file of each judge",
                fix="leave one out or, if they are of two people, name these apart by 'judge' in the files",
            )
        judges.append(judge)
    if not any(judge.made for judge in judges):
        raise UserError("there is no judgement", expected="files that the page gave, with at least one item judged")
    return judges


def _read(file: Path, page: str, items: Collection[str]) -> Judgements:
    try:
        encoded = file.read_bytes()
        held = json.loads(encoded)
        digest, made, name = held["page"], dict(held["judgements"]), str(held.get("judge") or file.stem)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} holds no judgements: {error!r}", expected="a file that the page gave for download") from None
    if digest != page:
        fix = "give the key of the page that it was made on"
        raise UserError(f"{file} is of another page", expected=f"page {page[:12]}…", got=f"page {digest!s:.12}…", fix=fix)
    unknown = [item for item in made if item not in items]
    if unknown:
        what = f"{file} judges {len(unknown)} items that the page has not: {', '.join(unknown[:5])}"
        raise UserError(what, fix=nearest(unknown[0], items))
    wrong = {item: choice for item, choice in made.items() if choice not in CHOICES}
    if wrong:
        item, choice = next(iter(wrong.items()))
        raise UserError(f"{file}: the judgement of item {item} is none", expected=", ".join(CHOICES), got=repr(choice))
    return Judgements(name, hashlib.sha256(encoded).hexdigest(), made)


def figures(results: Mapping[str, Results]) -> dict[str, dict[str, Figure]]:
    """Rows of figures: of all judges together, of each, and how far they agree. results: by judge.

    Win rate: in percent, of the judgements that prefer one answer, those that prefer the second evaluation's; with its 95 % interval.
    Of all judges it counts as many trials as there are items so judged: judges of one item do not err independently.
    """
    decided = {item for made in results.values() for item, outcome in made.items() if outcome != TIE}
    everyone = [outcome for made in results.values() for outcome in made.values()]
    rows = {"all judges": _rates(everyone, trials=len(decided))}
    for judge, made in results.items():
        rows[f"judge {judge}"] = _rates(list(made.values()), trials=sum(outcome != TIE for outcome in made.values()))
    return rows | dict(_agreements(results))


def _rates(outcomes: Sequence[str], trials: int) -> dict[str, Figure]:
    counts = Counter(outcomes)
    told: dict[str, Figure] = {"Wins": counts[WIN], "Ties": counts[TIE], "Losses": counts[LOSS]}
    if not trials:
        return told
    share = counts[WIN] / (counts[WIN] + counts[LOSS])
    low, high = wilson(share, trials)
    return {"Win rate": 100 * share, "from": 100 * low, "to": 100 * high, **told}


def _agreements(results: Mapping[str, Results]) -> Iterator[tuple[str, dict[str, Figure]]]:
    for one, other in combinations(results, 2):
        both = [item for item in results[one] if item in results[other]]
        if both:
            said = [results[one][item] for item in both], [results[other][item] for item in both]
            yield f"{one} and {other}", _agreed(len(both), agreement(*said), cohen_kappa(*said))
    judges = list(results.values())
    shared = [[made[item] for made in judges] for item in judges[0] if all(item in made for made in judges)]
    if len(judges) > 2 and shared:
        pairs = [agreement(*pair) for item in shared for pair in combinations([[said] for said in item], 2)]
        yield "all of them", _agreed(len(shared), sum(pairs) / len(pairs), fleiss_kappa(shared))


def _agreed(items: int, share: float, kappa: float | None) -> dict[str, Figure]:
    return {"Items": items, "Agreement": 100 * share, **({} if kappa is None else {"Kappa": kappa})}


def remarks(first: str, second: str, *, judges: int) -> list[str]:
    """What must be known to read the figures."""
    said = [
        f"Wins: answers of {second} that were judged better than those of {first}. The win rate leaves ties out: 50 is no difference.",
        "From and to: Wilson's 95 % interval of the win rate, over the items that are decided.",
    ]
    if judges > 1:
        said.append("Agreement: items on which two judges say the same, in percent; kappa: beyond chance, Cohen's of two, Fleiss' of all.")
    return said
