"""Score a benchmark's answers: files of any model in, metrics.json and items.jsonl out."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import RunError, UserError
from jax_mdpo.core.files import write_text
from jax_mdpo.evaluation.answers.faults import AnswersError, Faults
from jax_mdpo.evaluation.answers.joining import Joined, join
from jax_mdpo.evaluation.answers.reading import read_answers
from jax_mdpo.evaluation.benchmarking import Scored, score_answers
from jax_mdpo.evaluation.benchmarks.protocol import Benchmark, Reporting, Scorer
from jax_mdpo.evaluation.items import write_items
from jax_mdpo.evaluation.metrics import metrics
from jax_mdpo.recipe import naming
from jax_mdpo.training.progress import Progress


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
    made = benchmark_of(benchmark, settings or {})
    files = [Path(file) for file in ([answers] if isinstance(answers, str | Path) else answers)]
    questions = made.questions(existing(data))
    rows = [read_answers(file, made.answers) for file in files]
    told = source(made, files)
    refuse_others(Path(out), told)
    joined = join(questions, rows, made.answers, only=only)
    accept(joined.faults, partial, scorable=bool(joined.answered))
    scorer = made.scorer(Path(data), tuple(dict.fromkeys(question.part for question, _ in joined.answered)))
    return write_figures(made, scorer, joined, Path(out), told, partial=partial)


def benchmark_of(benchmark: Benchmark | str, settings: Mapping[str, Any]) -> Benchmark:
    """The benchmark of a name, or of package.module:Class, with its settings; an object as it is."""
    made = reporting_of(benchmark, settings) if isinstance(benchmark, str) else benchmark
    if not isinstance(made, Benchmark):
        raise UserError(f"{benchmark} asks no questions: it needs a model, and has no answer files", fix=f"jax-mdpo eval {benchmark} MODEL")
    return made


def reporting_of(benchmark: str, settings: Mapping[str, Any]) -> Reporting:
    """What adds up the figures of a benchmark's items: all that is needed where answers have been read."""
    return naming.made({"benchmark": {**settings, "name": benchmark}}, "eval")["benchmark"]


def existing(data: str | Path) -> Path:
    """The benchmark's data. Raises UserError where there is none."""
    if not Path(data).exists():
        raise UserError(f"there is no benchmark data {data}", expected="the official folder, or one of its files", fix="check --data")
    return Path(data)


def source(benchmark: Benchmark, files: Iterable[Path]) -> dict[str, Any]:
    """What the figures are of: the benchmark's name, and the answer files by their digests."""
    name = naming.plain(benchmark, "benchmark")["name"]
    return {"benchmark": name, "answers": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}}


def refuse_others(out: Path, told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metrics of this source that `out` holds, if any; RunError where they are of another one. told: the source."""
    path = out / "metrics.json"
    if not path.exists():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        same = all(held.get(key) == value for key, value in told.items())
    except (ValueError, AttributeError):
        same = False
    if not same:
        raise RunError(f"{path} holds the figures of other answers", fix="name another --out, or remove that file")
    return held


def accept(faults: Faults, partial: bool, *, scorable: bool) -> None:
    """Raises AnswersError where there are faults that `partial` does not accept, or nothing is left to score."""
    if scorable and (partial or not faults):
        return
    raise AnswersError(
        "\n".join(["the answers do not fit the questions, and their figures would be wrong:", *(f"  - {line}" for line in faults.lines())]),
        expected="one answer for each question of a part",
        fix="mend the answers, or score the others with --partial, which names these in the output" if scorable else "mend the answers",
    )


def write_figures(
    benchmark: Benchmark,
    scorer: Scorer,
    joined: Joined,
    out: Path,
    told: Mapping[str, Any],
    *,
    partial: bool,
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Scores the answered questions and writes metrics.json, which is returned, and items.jsonl.

    told: what metrics.json says of where the answers come from. remarks: beside the benchmark's own.
    """
    done = itertools.count(1)
    with Progress(len(joined.answered), passing=True, label="scoring") as progress:
        scored = score_answers(benchmark, scorer, joined.answered, joined.faults, advance=lambda: progress.update(next(done)))
    accept(joined.faults, partial, scorable=scored is not None)
    assert scored is not None
    return keep(out, benchmark, scored, told, absent=joined.absent, faults=joined.faults, remarks=remarks)


def keep(
    out: Path,
    benchmark: Reporting,
    scored: Scored,
    told: Mapping[str, Any],
    *,
    absent: Sequence[str] = (),
    faults: Faults | None = None,
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Writes metrics.json, which is returned, and items.jsonl. The former goes first and comes last: where it stands, both are of one
    evaluation.
    """
    options = naming.plain(benchmark, "benchmark")
    found = {**told, **metrics(scored, absent=absent, faults=faults or Faults(), options=options)}
    found["remarks"] = [*remarks, *found["remarks"]]
    (out / "metrics.json").unlink(missing_ok=True)
    write_items(scored.items, out / "items.jsonl")
    write_text(out / "metrics.json", json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n")
    return found
