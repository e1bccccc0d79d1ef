"""A model is asked a benchmark's questions, and its answers are scored."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import RunError
from jax_mdpo.evaluation.benchmarks.protocol import Benchmark
from jax_mdpo.generation.generator import Generator
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.recipe.answer_log import writing_alone
from jax_mdpo.recipe.evaluating import benchmark_of, refuse_others, source
from jax_mdpo.recipe.exam import Exam
from jax_mdpo.recipe.generating import generator_of
from jax_mdpo.recipe.origin import origin_of
from jax_mdpo.recipe.settings import Dtype
from jax_mdpo.weights.quantising import Quantization


def evaluate_model(
    benchmark: Benchmark | str,
    model: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    images: str | Path | None = None,
    adapter: str | Path | None = None,
    decoding: Decoding | None = None,
    append: str = "",
    sample: int | None = None,
    only: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    partial: bool = False,
    batch: int = 8,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
) -> dict[str, Any]:
    """The figures of a model's own answers, which go to answers.jsonl in `out` as they come. Returns what metrics.json there holds.

    An evaluation that was broken off continues where it stopped. benchmark, data, only, settings, partial: as for `evaluate`.
    model: a folder or a hub id. images: the folder of the image files. decoding: greedy by default. append: text after each question.
    sample: ask so many of the questions, drawn at random, the same for each model. batch: questions at a time.
    Raises UserError where images or what the scoring needs are missing, before the model is loaded; RunError where `out` holds the
    answers of another model, to other questions, or otherwise made, and where another process is writing them.
    """
    made, told, out = benchmark_of(benchmark, settings or {}), decoding or Decoding(), Path(out)
    exam = Exam.of(made, data, images, only=only, sample=sample, append=append)
    made_by = origin_of(model, told, adapter=adapter, dtype=dtype, quantization=quantization) | {"append": append, "sample": sample}

    def answering() -> Generator:
        return generator_of(model, told, adapter=adapter, dtype=dtype, quantization=quantization, batch=batch)

    with writing_alone(out / ".lock"):
        log = exam.log(out, made_by)
        if not log.holds(exam.requests) and (out / "metrics.json").exists():
            raise RunError(f"{out / 'metrics.json'} holds the figures of other answers", fix="name another --out, or remove that file")
        exam.take(log, answering)
        about = source(made, [log.path])
        refuse_others(out, about)
        return exam.score(log, about | {"made_by": made_by}, partial=partial)
