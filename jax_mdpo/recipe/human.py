"""Two models' answers before people: the blind page, and what their judgements come to."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import write_text
from jax_mdpo.core.seeds import generator
from jax_mdpo.data.images import open_image
from jax_mdpo.data.paths import ImageRoot
from jax_mdpo.data.settings import PILLOW_LIMIT
from jax_mdpo.evaluation.benchmarks.protocol import Item
from jax_mdpo.evaluation.items import read_items
from jax_mdpo.evaluation.judgements import LOSS, TIE, WIN, Judgements, figures, read_judgements, remarks
from jax_mdpo.recipe.evaluating import refuse_others
from jax_mdpo.report.human import Comparison, Picture, write_human_page

Name = tuple[str, str | int]  # the part and the id of a question


class Pool(NamedTuple):
    """pairs: the items that both answered, differently. equal, first_alone, second_alone: those that the page leaves out."""

    pairs: list[tuple[Item, Item]]
    equal: list[str]
    first_alone: list[str]
    second_alone: list[str]


def human_page(first: Path, second: Path, out: Path, *, images: Path, count: int = 50, seed: int = 0) -> Path:
    """Writes a page on which people compare the answers of two evaluations, and beside it the key, which judges must not see.

    first, second: folders of evaluations of one benchmark. images: the folder of its images. count: questions, drawn by the seed among
    those that both answered differently; all of them where there are fewer. The seed also draws the order and which answer is A.
    The page says nothing of the models, their folders or the seed; `out` with the ending .key.json does, and names what was left out.
    Raises UserError where the folders are of two benchmarks, or nothing is left to compare.
    """
    if count < 1:
        raise UserError("a page needs at least one item", expected="a count of 1 or more", got=str(count))
    held = {folder: _evaluation(folder) for folder in (first, second)}
    benchmarks = [benchmark for benchmark, _ in held.values()]
    if len(held) < 2 or len(set(benchmarks)) > 1:
        got = "the same folder twice" if len(held) < 2 else " and ".join(benchmarks)
        raise UserError(f"{first} and {second} cannot be compared", expected="two evaluations of one benchmark", got=got)
    pool = _pool(*(items for _, items in held.values()))
    if not pool.pairs:
        got = f"{len(pool.equal)} equal answers, {len(pool.first_alone) + len(pool.second_alone)} questions answered by one alone"
        raise UserError(f"{first} and {second} leave nothing to compare", expected="questions that both answered differently", got=got)
    rng = generator(seed, "human", benchmarks[0])
    drawn = [pool.pairs[place] for place in rng.permutation(len(pool.pairs))[:count]]
    first_is = ["A" if heads else "B" for heads in rng.integers(2, size=len(drawn))]
    comparisons = list(_comparisons(drawn, first_is, ImageRoot(images)))
    digest = write_human_page(comparisons, out)
    key = {
        "page": digest,
        "benchmark": benchmarks[0],
        "first": str(first),
        "second": str(second),
        "seed": seed,
        "items": {
            shown.id: {"part": one.question.part, "id": one.question.id, "first": side}
            for shown, (one, _), side in zip(comparisons, drawn, first_is, strict=True)
        },
        "left out": {
            "equal answers": pool.equal,
            "answered by first alone": pool.first_alone,
            "answered by second alone": pool.second_alone,
        },
    }
    write_text(key_of(out), json.dumps(key, indent=2, ensure_ascii=False) + "\n")
    return out


def key_of(page: Path) -> Path:
    """Where the key of a page lies."""
    return page.with_suffix(".key.json")


def judge_by_humans(answers: Sequence[Path], key: Path, out: Path) -> dict[str, Any]:
    """What people's judgements come to: how often the second evaluation's answer is better than the first's.

    answers: the files that the page gave, one of each judge. key: the page's. Returns what metrics.json in `out` holds.
    Raises UserError where a file is of another page, or names what is not on it, or two are of one judge; RunError where `out` holds the
    figures of other judgements. Items that a judge left open are counted and named.
    """
    held = _read_key(key)
    judges = read_judgements(answers, page=held["page"], items=held["items"].keys())
    told = {
        "benchmark": "human",
        "answers": {judge.name: judge.digest for judge in judges},
        "key": hashlib.sha256(key.read_bytes()).hexdigest(),
    }
    refuse_others(out, told)
    results = {judge.name: _unblinded(judge, held["items"]) for judge in judges}
    rows = figures(results)
    metrics = {
        **told,
        "figures": {row: {name: round(value, 2) for name, value in columns.items()} for row, columns in rows.items()},
        "unrounded": rows,
        "decimals": 2,
        "items": _counted(held["items"], results),
        "absent": [],
        "counts": {f"{what} (not on the page)": len(names) for what, names in held["left out"].items()},
        "remarks": remarks(held["first"], held["second"], judges=len(results)),
        "left_out": _open(held["items"], results),
        "tools": {},
        "options": {"name": "human", **{name: held[name] for name in ("benchmark", "first", "second", "seed")}},
    }
    write_text(out / "metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    return metrics


def _evaluation(folder: Path) -> tuple[str, list[Item]]:
    """The benchmark and the items of an evaluation's folder."""
    try:
        benchmark = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["benchmark"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} holds no evaluation: {error!r}", expected="metrics.json and items.jsonl", fix="run jax-mdpo eval first"
        ) from None
    return benchmark, read_items(folder / "items.jsonl")


def _pool(first: Sequence[Item], second: Sequence[Item]) -> Pool:
    ours, theirs = ({(item.question.part, item.question.id): item for item in items} for items in (first, second))
    pairs, equal = [], []
    for name, one in ours.items():
        other = theirs.get(name)
        if other is None:
            continue
        if one.question.text != other.question.text:
            raise UserError(f"{_named(name)} is not the same question in both", got=f"{one.question.text!r} and {other.question.text!r}")
        if one.answer.strip() == other.answer.strip():
            equal.append(_named(name))
        else:
            pairs.append((one, other))
    return Pool(pairs, equal, *([_named(name) for name in a if name not in b] for a, b in ((ours, theirs), (theirs, ours))))


def _named(name: Name) -> str:
    return f"{name[0]} {name[1]}"


def _comparisons(drawn: Sequence[tuple[Item, Item]], first_is: Sequence[str], root: ImageRoot) -> Iterator[Comparison]:
    for number, ((one, other), side) in enumerate(zip(drawn, first_is, strict=True), start=1):
        question = one.question
        name = _named((question.part, question.id))
        image = None
        if isinstance(question.image, str):
            image = Picture.of(open_image(root.find(question.image, name), max_pixels=PILLOW_LIMIT, name=name))
        a, b = (one, other) if side == "A" else (other, one)
        yield Comparison(str(number), question.text, a.answer.strip(), b.answer.strip(), image)


def _read_key(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held.keys() >= {"page", "benchmark", "first", "second", "seed", "items", "left out"}:
            return held
        got = "another JSON file"
    except (OSError, ValueError, AttributeError) as error:
        got = str(error)
    raise UserError(f"{path} is no key of a page", expected="the .key.json that was written beside the page", got=got, fix="check --data")


def _unblinded(judge: Judgements, items: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """item → whether the second's answer is the better one: win, tie or loss."""
    return {item: TIE if choice == TIE else LOSS if choice == items[item]["first"] else WIN for item, choice in judge.made.items()}


def _counted(items: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """Items with a judgement, by part."""
    counts: dict[str, int] = {}
    for item, facts in items.items():
        if any(item in made for made in results.values()):
            counts[facts["part"]] = counts.get(facts["part"], 0) + 1
    return counts


def _open(items: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    missing = [
        f"{judge}: {_named((facts['part'], facts['id']))}"
        for judge, made in results.items()
        for item, facts in items.items()
        if item not in made
    ]
    return {"item without a judgement": missing} if missing else {}
