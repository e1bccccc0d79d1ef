"""Everything that a training run can be told, typed and strict; and the contradictions that are refused."""

from dataclasses import field
from typing import Any, Literal

from jax_mdpo.core.config import config
from jax_mdpo.core.views import CONTRAST, NEGATIVE, NOISED, RESPONSES, Need, View
from jax_mdpo.corruptions import Noise
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.evaluation.benchmarks.protocol import Benchmark
from jax_mdpo.layers.execution import Attention
from jax_mdpo.layers.remat import Remat
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.training.optimizer import OptimizerSettings
from jax_mdpo.training.settings import CheckpointSettings, EvaluationSettings, LogSettings, LoopSettings
from jax_mdpo.weights.quantising import Quantization

Dtype = Literal["float32", "bfloat16", "float16"]


@config
class ModelSettings:
    """path: a checkpoint folder or a hub id. dtype: of base weights and activations; where not given as stored, if the devices compute
        in that.

    quantization: the decoder's linear layers in 1 byte (int8) or 4.5 bits (nf4) a weight, made from the stored weights on loading.
    scan: compile one decoder block and loop over it (quick to compile) or unroll them.
    remat: what of the forward pass is computed again in the backward pass, to save memory: nothing (none), all but matrix products
        (elementwise), the MLP too (mlp), or everything (full).
    attention: the kernel that computes it; auto is what the platform has: cudnn on NVIDIA GPUs, splash on TPUs, xla elsewhere.
    """

    path: str
    revision: str | None = None
    dtype: Dtype | None = None
    quantization: Quantization | None = None
    scan: bool = True
    remat: Remat = "none"
    attention: Attention = "auto"


@config
class BatchSettings:
    """pairs: per optimiser step, over all devices. accumulation: into how many parts a step is split to save memory.

    logits_chunk: response positions per row whose logits exist at a time.
    """

    pairs: int = 32
    accumulation: int = 1
    logits_chunk: int = 32

    def __post_init__(self) -> None:
        if min(self.pairs, self.accumulation, self.logits_chunk) < 1:
            raise ValueError("pairs, accumulation and logits_chunk must be at least 1")
        if self.pairs % self.accumulation:
            raise ValueError(f"accumulation {self.accumulation} must divide the {self.pairs} pairs of a step")


@config
class ReferenceSettings:
    """cache: the folder that keeps the reference's log-probs; where not given, they are computed in every step."""

    cache: str | None = None


@config
class VisionSettings:
    """cache: the folder that keeps what the frozen tower makes of the images; where not given, it looks at them in every step."""

    cache: str | None = None


@config
class MeshSettings:
    """Devices along each axis; one may be -1: what the others leave. data: whole copies; fsdp: weights split; tensor: heads split."""

    data: int = 1
    fsdp: int = -1
    tensor: int = 1


@config
class BenchmarkSettings:
    """A benchmark, or a sample of it, that the policy answers greedily while it is trained.

    label: under which its figures are logged, by default the benchmark's name. data, images: the official folder or file, and the images.
    sample: so many questions, drawn at random, the same each time; all where not given. only: these parts. append: text after each one.
    max_tokens: of an answer. batch: questions at a time.
    """

    benchmark: Benchmark
    data: str
    label: str | None = None
    images: str | None = None
    sample: int | None = None
    only: tuple[str, ...] = ()
    append: str = ""
    max_tokens: int = 256
    batch: int = 8

    def __post_init__(self) -> None:
        for name in ("sample", "max_tokens", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


@config
class RunEvaluation(EvaluationSettings):
    """What is evaluated: the loss on the held-out pairs, where there are any, and benchmarks.

    reliance: whether it also probes what the preferences on these pairs owe to the image (evaluation/reliance.py), which costs the policy
    a forward pass over three images for each pair, and in a run's first evaluation the reference too.
    """

    reliance: bool = True
    benchmarks: tuple[BenchmarkSettings, ...] = ()


@config
class RunSettings:
    """A training run.

    objectives: the terms of the loss. hard_negative: what makes the negative image, where a term reads one.
    noise: what makes the noised image, where a term reads one.
    negatives: these two made anew in each epoch (fresh), or as in the first one (fixed), which caches need.
    eval_data: held-out pairs. epochs or steps: how long; one of them.
    init_adapter: a PEFT adapter to start from; it brings its own ranks and targets. reference_adapter: a frozen one for the reference.
    out: the run directory.
    """

    model: ModelSettings
    data: DataSettings
    out: str
    objectives: tuple[Any, ...]
    hard_negative: Any = None
    noise: Noise | None = None
    negatives: Literal["fresh", "fixed"] = "fresh"
    reference: ReferenceSettings = ReferenceSettings()
    vision: VisionSettings = VisionSettings()
    lora: LoRASettings = LoRASettings()
    init_adapter: str | None = None
    reference_adapter: str | None = None
    eval_data: DataSettings | None = None
    batch: BatchSettings = BatchSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    epochs: int | None = None
    steps: int | None = None
    mesh: MeshSettings = MeshSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    evaluation: RunEvaluation | None = None
    logging: LogSettings = LogSettings()
    seed: int = field(default=0)

    def __post_init__(self) -> None:
        for fault in self._contradictions():
            raise ValueError(fault)
        _ = self.loop  # checks of its own

    @property
    def loop(self) -> LoopSettings:
        """The loop's part of the settings."""
        return LoopSettings(checkpoint=self.checkpoint, evaluation=self.evaluation, logging=self.logging)

    @property
    def needs(self) -> frozenset[Need]:
        """What all terms of the loss need evaluated."""
        return frozenset(need for term in self.objectives for need in term.needs())

    @property
    def reference_views(self) -> tuple[View, ...]:
        """What the terms need of the reference."""
        return tuple(sorted({need.view for need in self.needs if need.model == "reference"}))

    @property
    def responses(self) -> tuple[str, ...]:
        """What batches hold of each record: chosen and rejected, and contrast where a term reads it."""
        return (*RESPONSES, CONTRAST) if any(need.view.response == CONTRAST for need in self.needs) else RESPONSES

    @property
    def asks_changed(self) -> bool:
        """Whether a term asks which tokens are reworded."""
        return any(need.changed for need in self.needs)

    def _reads(self, *images: str) -> bool:
        return any(need.view.image in images for need in self.needs)

    def rows(self, data: DataSettings) -> int:
        """Rows of a batch of `data`, over all devices."""
        return self.batch.pairs // data.pack

    def _contradictions(self) -> list[str]:
        faults = []
        if not self.objectives:
            faults.append("objectives is empty: name at least one term, for example [{name: dpo}]")
        labels = [term.label for term in self.objectives]
        if len(set(labels)) < len(labels):
            faults.append(f"objectives names a term twice ({', '.join(labels)}): raise its weight instead")
        if (self.epochs is None) == (self.steps is None):
            faults.append("give either epochs or steps")
        if min(self.epochs or 1, self.steps or 1) < 1:
            faults.append("epochs or steps must be at least 1")
        faults += self._contradictions_of_images()
        faults += self._contradictions_of_caches()
        if self.batch.accumulation > 1 and any(getattr(term, "whole_batch", False) for term in self.objectives):
            faults.append("a term of objectives compares the pairs of the whole batch, which batch.accumulation splits: set it to 1")
        if self.batch.pairs % (self.data.pack * self.batch.accumulation):
            faults.append(
                f"batch.pairs ({self.batch.pairs}) must be a multiple of data.pack × batch.accumulation "
                f"({self.data.pack} × {self.batch.accumulation}): a part of a step holds whole rows"
            )
        if self.eval_data is not None and self.batch.pairs % self.eval_data.pack:
            faults.append(f"batch.pairs ({self.batch.pairs}) must be a multiple of eval_data.pack ({self.eval_data.pack})")
        faults += self._contradictions_of_evaluation()
        if self.init_adapter is not None and self.lora != LoRASettings(lora_dropout=self.lora.lora_dropout):
            faults.append("init_adapter brings its own ranks, alphas and targets: of lora only lora_dropout may be set beside it")
        return faults

    def _contradictions_of_evaluation(self) -> list[str]:
        if self.evaluation is None:
            unread = "eval_data is set, but nothing is evaluated on it: remove it, or add evaluation, for example {every: 100}"
            return [unread] if self.eval_data is not None else []
        if self.eval_data is None and not self.evaluation.benchmarks:
            return ["evaluation is set, but has nothing to evaluate: give eval_data, or evaluation.benchmarks, or both"]
        return []

    def _contradictions_of_images(self) -> list[str]:
        faults = []
        if self.hard_negative is not None and not self._reads(NEGATIVE):
            faults.append("hard_negative is set, but no term of objectives reads a negative image: remove it, or add {name: conditional}")
        if self.hard_negative is None and self._reads(NEGATIVE):
            faults.append("a term of objectives reads a negative image: set hard_negative, for example {name: crop}")
        if self.noise is not None and not self._reads(NOISED):
            faults.append("noise is set, but no term of objectives reads a noised image: remove it, or give dpo weights that do")
        if self.noise is None and self._reads(NOISED):
            faults.append("a term of objectives reads a noised image: set noise, for example {step: 500}")
        if self.negatives == "fixed" and not self._reads(NEGATIVE, NOISED):
            faults.append("negatives: fixed is set, but no term of objectives reads a negative or a noised image: remove it")
        return faults

    def _contradictions_of_caches(self) -> list[str]:
        faults = []
        if self.reference.cache is not None and not self.reference_views:
            faults.append("reference.cache is set, but no term of objectives reads the reference: remove it")
        if self.reference.cache is not None and any(need.divergence for need in self.needs):
            faults.append(
                "reference.cache holds log-probs of the answers' tokens, but a term of objectives compares whole distributions with "
                "the reference's, which are computed in every step: leave out reference.cache"
            )
        if self.reference.cache is not None and any(need.logits and need.model == "reference" for need in self.needs):
            faults.append(
                "reference.cache holds log-probs of the answers' tokens, but a term of objectives reads the reference's raw logits, which "
                "are computed in every step: leave out reference.cache"
            )
        for name, cache, reads in (
            ("reference.cache", self.reference.cache, any(view.image in (NEGATIVE, NOISED) for view in self.reference_views)),
            ("vision.cache", self.vision.cache, self._reads(NEGATIVE, NOISED)),
        ):
            if cache is not None and reads and self.negatives == "fresh":
                faults.append(
                    f"{name} holds one negative (or noised) image for each record, but negatives are fresh in each epoch: "
                    f"set negatives: fixed, or leave out {name} to compute in every step what it would hold"
                )
        return faults
