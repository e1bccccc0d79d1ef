"""How long a run's rows are: measured where the data is here, assumed where it is not."""

from dataclasses import dataclass
from pathlib import Path

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.views import CHOSEN, REJECTED
from jax_mdpo.data.batches import Bucket
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.recipe.described import Description
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.training import batch_list

PROMPT, RESPONSE = 50, 120  # tokens, where nothing is known: typical of LLaVA's preference data


@dataclass(frozen=True)
class RowLengths:
    """shares: of the run's batches that have each padded length, the largest last. pairs: of the whole run; none where it is not known.

    prefix, chosen, rejected: mean tokens of a pair. source: where all this comes from, in words.
    """

    shares: dict[Bucket, float]
    pairs: int | None
    prefix: float
    chosen: float
    rejected: float
    source: str

    @property
    def largest(self) -> Bucket:
        return max(self.shares)


def row_lengths(settings: RunSettings, model: Description, prefix: int | None, response: int | None) -> RowLengths:
    """prefix (prompt and image positions) and response, in tokens, where they are given; else those of the data, else an assumption."""
    if (prefix is None) != (response is None):
        raise ConfigError("give both lengths or neither", expected="--prefix and --response")
    if prefix is None and Path(settings.data.path).exists() and model.folder is not None:
        return _measured(settings, model)
    features = model.family.image_positions(model.config)
    if prefix is not None and response is not None:
        return _assumed(settings, prefix, response, "as asked for")
    source = f"assumed, for the data is not here: {PROMPT} prompt, {features} image, {RESPONSE} response"
    return _assumed(settings, PROMPT + features, RESPONSE, source)


def _assumed(settings: RunSettings, prefix: int, response: int, source: str) -> RowLengths:
    data = settings.data
    if isinstance(data.buckets, int):
        bucket = Bucket(*(-(-length * data.pack // data.length_multiple) * data.length_multiple for length in (prefix, response)))
    else:
        bucket = Bucket(*data.buckets[-1])
    return RowLengths({bucket: 1.0}, None, float(prefix), float(response), float(response), source)


def _measured(settings: RunSettings, model: Description) -> RowLengths:
    assert model.folder is not None
    data = PairDataset.open(settings.data, model.family.processor(model.folder), settings.responses)
    plans = batch_list(data, settings)
    buckets = sorted({plan.bucket for plan in plans})
    shares = {bucket: sum(plan.bucket == bucket for plan in plans) / len(plans) for bucket in buckets}
    index = data.index
    pairs = sum(place >= 0 for plan in plans for place in plan.records)
    return RowLengths(
        shares,
        pairs,
        prefix=float(index.lengths.prefix.mean()),
        chosen=float(index.scored(CHOSEN).mean()),
        rejected=float(index.scored(REJECTED).mean()),
        source=f"of the data: {len(data)} records, {len(plans)} batches of {len(buckets)} lengths",
    )
