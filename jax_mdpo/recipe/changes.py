"""What may be changed about a run that does not fit into memory."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, get_args

from jax_mdpo.layers.remat import Remat
from jax_mdpo.planning.chips import Topology, larger
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.weights.quantising import Quantization

Change = tuple[str, RunSettings, Topology]  # in words, and what it makes of the run and its place


def changes(settings: RunSettings, place: Topology) -> Iterator[Change]:
    """First those that change no result, the quickest to run before the slower ones; then fewer bits; then more chips."""
    stronger, parts, formats = _stronger(settings), _more_parts(settings), _fewer_bits(settings)
    tried: list[dict[str, Any]] = [
        *({"remat": remat} for remat in stronger),
        *({"accumulation": count} for count in parts),
        *({"remat": remat, "accumulation": count} for count, remat in product(parts, stronger)),
        *({"quantization": name} for name in formats),
        *({"quantization": name, "remat": remat} for name, remat in product(formats, stronger)),
        *({"quantization": name, "remat": "full", "accumulation": count} for name, count in product(formats, parts[-1:])),
    ]
    for values in tried:
        yield " ".join(f"{_place_of(name)}={value}" for name, value in values.items()), _with(settings, values), place
    for bigger in larger(place):
        yield f"--topology {bigger.name}", settings, bigger


def _stronger(settings: RunSettings) -> list[Remat]:
    policies = list(get_args(Remat))
    return policies[policies.index(settings.model.remat) + 1 :]


def _more_parts(settings: RunSettings) -> list[int]:
    rows, parts = settings.rows(settings.data), settings.batch.accumulation
    return [count for count in (parts * 2**power for power in range(1, 11)) if count <= rows and rows % count == 0]


def _fewer_bits(settings: RunSettings) -> list[Quantization]:
    formats = list(get_args(Quantization))
    return formats[formats.index(settings.model.quantization) + 1 :] if settings.model.quantization else formats


def _place_of(name: str) -> str:
    return f"batch.{name}" if name == "accumulation" else f"model.{name}"


def _with(settings: RunSettings, values: dict[str, Any]) -> RunSettings:
    batch = {name: value for name, value in values.items() if name == "accumulation"}
    model = {name: value for name, value in values.items() if name != "accumulation"}
    return replace(settings, model=replace(settings.model, **model), batch=replace(settings.batch, **batch))
