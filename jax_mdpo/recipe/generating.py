"""Answers from a checkpoint, with or without an adapter: as an iterator, as text that streams, or from file to file."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.records import ImageSource
from jax_mdpo.data.paths import ImageRoot
from jax_mdpo.data.readers.rows import read_rows
from jax_mdpo.generation.generator import Generator, Skip
from jax_mdpo.generation.requests import Answer, Request
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.recipe.answer_log import AnswerLog, writing_alone
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.recipe.loading import load
from jax_mdpo.recipe.origin import origin_of
from jax_mdpo.recipe.settings import Dtype
from jax_mdpo.training.json_lines import JsonLines
from jax_mdpo.weights.quantising import Quantization


class Written(NamedTuple):
    """What a file of answers holds. answered: in all. skipped: requests that cannot be used, which are listed in `listed`."""

    answered: int
    skipped: int
    listed: Path


def generator_of(
    model: Checkpoint | str | Path,
    settings: Decoding | None = None,
    *,
    adapter: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    batch: int = 8,
) -> Generator:
    """A model that answers, loaded once for any number of calls. adapter: a PEFT folder; it is not merged. batch: requests at a time."""
    keep_compiled_programs()
    checkpoint = model if isinstance(model, Checkpoint) else load(model, dtype=dtype, quantization=quantization)
    weights = None if adapter is None else stored_adapter(Path(adapter), checkpoint)
    return Generator.of(checkpoint, settings or Decoding(), adapter=weights, rows=batch)


def generate(
    model: Checkpoint | str | Path,
    requests: Iterable[Request],
    settings: Decoding | None = None,
    *,
    adapter: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    batch: int = 8,
    skip: Skip | None = None,
) -> Iterator[Answer]:
    """One answer a request, in order, as batches of them are finished.

    model: a loaded checkpoint, a folder or a hub id. adapter: a PEFT folder; it is applied without merging. settings: greedy by default.
    skip: called with the id of each request that cannot be used and the reason, a RecordError; without it the first one is raised.
    """
    made = generator_of(model, settings, adapter=adapter, dtype=dtype, quantization=quantization, batch=batch)
    return made.answers(requests, skip)


def stream(
    model: Checkpoint | str | Path,
    prompt: str,
    image: ImageSource | None = None,
    settings: Decoding | None = None,
    *,
    adapter: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
) -> Iterator[str]:
    """The text of one answer, piece by piece, as its tokens come."""
    made = generator_of(model, settings, adapter=adapter, dtype=dtype, quantization=quantization, batch=1)
    return made.stream(Request("prompt", prompt, image))


def generate_file(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    settings: Decoding | None = None,
    *,
    adapter: str | Path | None = None,
    images: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    batch: int = 8,
    skip_bad: bool = False,
) -> Written:
    """Answers a file of JSON lines into another: {id, prompt, image} to {id, text, tokens, ended}, with a progress bar.

    Answers are written as they come. A file that is there already is continued: its answers stay, and only what is missing is asked;
    RunError where they were made with other settings. skip_bad: bad requests are listed beside `out`, with the reasons, instead of
    ending the run. images: the folder of the images, by default that of `data`.
    """
    settings, data, out = settings or Decoding(), Path(data), Path(out)
    origin = origin_of(model, settings, adapter=adapter, dtype=dtype, quantization=quantization) | {"data": str(data)}

    def made() -> Generator:
        return generator_of(model, settings, adapter=adapter, dtype=dtype, quantization=quantization, batch=batch)

    with writing_alone(out.with_name(f".{out.name}.lock")):
        log = AnswerLog(out, origin, key=itemgetter("id"))
        skipped = Skipped(out.with_name(f"{out.name}.skipped"))
        skip = skipped if skip_bad else None
        requests = read_requests(data, data.parent if images is None else Path(images), skip)
        log.complete(requests, made, vars, skip=skip)
    return Written(len(log.done), skipped.count, skipped.path)


class Skipped:
    """Lists requests that cannot be used, with the reasons, in a file that is there only if there are any.

    It begins anew each time: what could not be used is tried again.
    """

    def __init__(self, path: Path):
        self.path, self.count = path, 0
        path.unlink(missing_ok=True)

    def __call__(self, id: str | int, error: RecordError) -> None:
        self.count += 1
        with closing(JsonLines(self.path)) as listed:
            listed.append({"id": id, "reason": str(error)})


def read_requests(path: Path, images: Path, skip: Skip | None = None) -> list[Request]:
    """The requests in a file of objects with prompt, image where there is one, and id, by default the row's number from 0.

    images: the folder that the images are below. skip: as for `generate`. Raises UserError where a row is no request.
    """
    root, requests, seen = ImageRoot(images), [], set()
    for number, row in enumerate(read_rows(path)):
        name = f"{path}, row {number}"
        if isinstance(row, str):
            raise UserError(f"{name}: {row}", expected="an object with id, image and prompt")
        id, prompt, image = row.get("id", number), row.get("prompt"), row.get("image")
        if not isinstance(prompt, str) or not isinstance(id, str | int) or not isinstance(image, str | None):
            raise UserError(
                f"{name}: is no request", expected="prompt and image as strings, id as a string or a number", got=f"{row!r:.200}"
            )
        if id in seen:
            raise UserError(f"{name}: another request has the id {id!r}, too", fix="give each its own, or leave ids out")
        seen.add(id)
        try:
            requests.append(Request(id, prompt, None if image is None else root.find(image, f"request {id!r}")))
        except RecordError as error:
            if skip is None:
                raise
            skip(id, error)
    return requests
