"""Score a benchmark's answers."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from jax_mdpo.core.errors import RunError, UserError
from jax_mdpo.core.files import write_text
from jax_mdpo.evaluation.answers.faults import AnswersError, Faults
from jax_mdpo.evaluation.answers.joining import join
from jax_mdpo.evaluation.answers.reading import read_answers
from jax_mdpo.evaluation.benchmarking import Scored, score_answers
from jax_mdpo.evaluation.benchmarks.protocol import Benchmark
from jax_mdpo.evaluation.items import write_items
from jax_mdpo.evaluation.metrics import metrics
from jax_mdpo.recipe import naming


def evaluate(
    benchmark: Benchmark | str,
    *,
    answers: str | Path | Sequence[str | Path],
    data: str | Path,
    out: str | Path,
    settings: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
    partial: bool = False,
) -> dict[str, Any]:
    """The figures of answers that exist; no model, image or accelerator is touched. Returns what metrics.json in `out` holds.

    benchmark: its name, with `settings`, or the object itself. answers: files in its official format, of one model. data: the official
    folder or file. only: the parts to score; by default all that are answered. partial: score what can be scored, and name what cannot
    in the metrics, rather than raise AnswersError for it.
    items.jsonl in `out` holds each answer with what was read in it. Raises RunError where `out` holds the figures of other answers.
    """
    made = benchmark_of(benchmark, settings or {}) if isinstance(benchmark, str) else benchmark
    options = naming.plain(made, "benchmark")
    if not Path(data).exists():
        raise UserError(f"there is no benchmark data {data}", expected="the official folder, or one of its files", fix="check --data")
    files = [Path(file) for file in ([answers] if isinstance(answers, str | Path) else answers)]
    rows = [read_answers(file, made.answers) for file in files]
    origin = {"benchmark": options["name"], "answers": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}}
    _refuse_others(Path(out) / "metrics.json", origin)
    joined = join(made.questions(Path(data)), rows, made.answers, only=only)
    _accept(joined.faults, partial, scorable=bool(joined.answered))
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("scoring", total=len(joined.answered))
        scored = score_answers(made, Path(data), joined.answered, joined.faults, advance=lambda: bar.advance(task))
    _accept(joined.faults, partial, scorable=scored is not None)
    assert scored is not None
    found = origin | metrics(scored, absent=joined.absent, faults=joined.faults, options=options)
    _write(Path(out), scored, found)
    return found


def benchmark_of(name: str, settings: Mapping[str, Any]) -> Benchmark:
    """The benchmark of a name, or of package.module:Class, with its settings."""
    return naming.made({"benchmark": {**settings, "name": name}}, "eval")["benchmark"]


def _refuse_others(path: Path, origin: Mapping[str, Any]) -> None:
    """The same answers may be scored again; figures of others are not overwritten."""
    if not path.exists():
        return
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        same = all(held.get(key) == value for key, value in origin.items())
    except (ValueError, AttributeError):
        same = False
    if not same:
        raise RunError(f"{path} holds the figures of other answers", fix="name another --out, or remove that file")


def _accept(faults: Faults, partial: bool, *, scorable: bool) -> None:
    if scorable and (partial or not faults):
        return
    raise AnswersError(
        "\n".join(["the answers do not fit the questions, and their figures would be wrong:", *(f"  - {line}" for line in faults.lines())]),
        expected="one answer for each question of a part",
        fix="mend the answers, or score the others with --partial, which names these in the output" if scorable else "mend the answers",
    )


def _write(out: Path, scored: Scored, found: Mapping[str, Any]) -> None:
    """metrics.json goes first and comes last: where it stands, it and the items are of one evaluation."""
    (out / "metrics.json").unlink(missing_ok=True)
    write_items(scored.items, out / "items.jsonl")
    write_text(out / "metrics.json", json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n")
