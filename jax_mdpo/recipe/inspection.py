"""What the method sees of one pair: the image's variants, and each token of the answers with what a model makes of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.core.config import config, validate
from jax_mdpo.core.errors import RecordError, UserError, nearest
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, NOISED, REJECTED
from jax_mdpo.corruptions import Noise
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import CLEAN_ONLY, Variants, on_device
from jax_mdpo.evaluation.tokenwise import Answer, Examined, Question, examine
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.recipe import naming
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.recipe.configuration import read_settings, with_overrides
from jax_mdpo.recipe.loading import load
from jax_mdpo.recipe.pictures import WORDS, Eye, pictures
from jax_mdpo.recipe.settings import Dtype, RunSettings
from jax_mdpo.report.inspection import AnswerTokens, Inspection, Shown, write_inspection
from jax_mdpo.sharding.placing import batch_ways
from jax_mdpo.weights.quantising import Quantization

INCOMPLETE = "�"  # what a decoder writes for a character of which bytes are missing


@config
class InspectionSettings:
    """How the image's variants come about, and what the numbers are of.

    hard_negative, noise: as in a run's settings. weights: of the tokens. beta: of the rewards. seed, epoch: of what is drawn; another
    epoch shows another crop.
    """

    hard_negative: Any = Crop()
    noise: Noise = Noise()
    weights: Uncertainty = Uncertainty()
    beta: float = 0.1
    seed: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        if self.hard_negative is None or isinstance(self.hard_negative, str):
            raise ValueError(f"hard_negative must be what makes one, for example {{name: crop}}; got {self.hard_negative!r}")
        if self.beta <= 0:
            raise ValueError(f"beta must be positive, got {self.beta}")

    @classmethod
    def read(cls, run: Path | None = None, overrides: Sequence[str] = ()) -> "InspectionSettings":
        """The settings of a run, from its YAML file, or the defaults; with overrides such as "hard_negative.area=[0.2, 0.5]" over them."""
        known = cls() if run is None else cls.of(read_settings(run))
        return validate(cls, naming.made(with_overrides(naming.plain(known), overrides), "inspect"), where="inspect")

    @classmethod
    def of(cls, run: RunSettings) -> "InspectionSettings":
        """What a run's settings say; the defaults where they say nothing."""
        weights = [weights for term in run.objectives if isinstance(weights := getattr(term, "weights", None), Uncertainty)]
        betas = [beta for term in run.objectives if (beta := getattr(term, "beta", None))]
        said = {
            "hard_negative": run.hard_negative,
            "noise": run.noise,
            "weights": next(iter(weights), None),
            "beta": next(iter(betas), None),
        }
        return cls(seed=run.seed, **{key: value for key, value in said.items() if value is not None})

    def variants(self) -> Variants:
        """The image and its two variants."""
        return Variants((CLEAN, NEGATIVE, NOISED), {NEGATIVE: self.hard_negative, NOISED: self.noise}, self.seed)


def inspect(
    model: Checkpoint | str | Path,
    data: DataSettings | str | Path,
    id: str | int,
    *,
    out: str | Path,
    adapter: str | Path | None = None,
    images: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    settings: InspectionSettings | None = None,
) -> Path:
    """Writes a page about the record `id`: its image, hard negative and noised image, and both answers token by token.

    model: a loaded checkpoint, a folder or a hub id; it is the reference, and with `adapter`, a PEFT folder, the policy. data: settings,
    or the path of the pairs, of which bad ones are then passed over. out: an HTML file that needs no other.
    Raises UserError where there is no such record, naming near ones.
    """
    keep_compiled_programs()
    told = settings or InspectionSettings()
    where = DataSettings(path=str(data), images=None if images is None else str(images), on_bad_record="skip")
    checkpoint = model if isinstance(model, Checkpoint) else load(model, dtype=dtype, quantization=quantization)
    pairs = PairDataset.open(data if isinstance(data, DataSettings) else where, checkpoint.processor)
    place = _place_of(pairs, id)
    variants = told.variants() if pairs.records[place].image is not None else CLEAN_ONLY
    examined = _examined(checkpoint, adapter, _batch(checkpoint, pairs, place, variants, told.epoch), told, variants)
    seen = pairs.pair(place, variants=variants, epoch=told.epoch)
    eye = Eye.of(checkpoint.family, checkpoint.config)
    page = Inspection(
        id=seen.id,
        model=str(model.folder if isinstance(model, Checkpoint) else model),
        adapter=None if adapter is None else str(adapter),
        prompt=seen.prompt,
        images=tuple(
            Shown(WORDS[variant], picture.image, picture.made_by, picture.settings, picture.box)
            for variant, picture in pictures(seen, variants, eye, epoch=told.epoch).items()
        ),
        chosen=_tokens_of(CHOSEN, examined.answers[CHOSEN], checkpoint.processor),
        rejected=_tokens_of(REJECTED, examined.answers[REJECTED], checkpoint.processor),
        losses=examined.losses,
        alpha=told.weights.alpha,
        tau=told.weights.tau,
        beta=told.beta,
        notes=_notes(told, checkpoint),
    )
    write_inspection(page, Path(out))
    return Path(out)


def _place_of(pairs: PairDataset, id: str | int) -> int:
    names = [str(record.id) for record in pairs.records]
    if str(id) in names:
        return names.index(str(id))
    for skipped, reason in pairs.skipped:
        if str(skipped) == str(id):
            raise RecordError(f"record {id!r} cannot be used", got=reason)
    raise UserError(f"{pairs.settings.path} has no record {id!r}", expected=f"one of its {len(names)} ids", fix=nearest(str(id), names))


def _batch(checkpoint: Checkpoint, pairs: PairDataset, place: int, variants: Variants, epoch: int) -> HostBatch:
    """A batch of the record, padded to rows that every device gets some of. Raises RecordError where the record is bad."""
    variants.check(pairs.records[place])
    plan, *_ = pairs.ordered_batches(batch_size=batch_ways(checkpoint.mesh), records=[place])
    (host,) = pairs.batches([plan._replace(epoch=epoch)], variants=variants)
    for id, reason in host.skipped:
        raise RecordError(f"record {id!r} cannot be used", got=reason)
    return host


def _examined(
    checkpoint: Checkpoint, adapter: str | Path | None, host: HostBatch, told: InspectionSettings, variants: Variants
) -> Examined:
    weights = None if adapter is None else stored_adapter(Path(adapter), checkpoint)
    actors, frozen, lora = make_actors(checkpoint, weights)
    question = Question(bool(variants.made), weights is not None, replace(told.weights, answers="both"), told.beta)
    corruptions = {variant: on_device(maker) for variant, maker in variants.makers.items()}
    return examine(checkpoint, actors, frozen, lora, host.batch, question, corruptions)


def _tokens_of(name: str, answer: Answer, processor: Processor) -> AnswerTokens:
    guesses = () if answer.guesses is None else tuple(processor.decode([int(id)]) for id in answer.guesses)
    values = {key: tuple(map(float, of_tokens)) for key, of_tokens in answer.values.items()}
    return AnswerTokens(name, pieces(answer.ids.tolist(), processor.decode), values, guesses)


def pieces(ids: Sequence[int], decode: Callable[[Sequence[int]], str]) -> tuple[str, ...]:
    """The text of each token; together they are the text of all. A token that is only part of a character leaves it to the last part."""
    found, written = [], ""
    for count in range(1, len(ids) + 1):
        text = decode(ids[:count])
        complete = text if count == len(ids) else text.rstrip(INCOMPLETE)
        found.append(complete[len(written) :])
        written = complete
    return tuple(found)


def _notes(told: InspectionSettings, checkpoint: Checkpoint) -> tuple[str, ...]:
    answers = told.weights.answers
    alone = ("weights of this pair alone, though their scope is the batch",) if told.weights.whole_batch else ()
    both = (f"weights of both answers, though those of the {answers} one alone are set",) if answers != "both" else ()
    return (
        str(checkpoint.dtype),
        *([checkpoint.quantization] if checkpoint.quantization else []),
        f"seed {told.seed}, epoch {told.epoch}",
        *alone,
        *both,
    )
