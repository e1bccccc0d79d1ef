"""Preference optimisation against hallucination for vision-language models, in JAX.

The Python face: load, train, score, generate, evaluate, evaluate_model, evaluate_pairs, human_page, judge_by_humans, compare,
run_study, export, preview, inspect, plan, reference, and the settings and objective classes. Names are imported when first used, so that
`import jax_mdpo` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jax_mdpo.data.dataset import PairDataset as PairDataset
    from jax_mdpo.data.hard_negatives import Crop as Crop
    from jax_mdpo.data.hard_negatives import RejectedImage as RejectedImage
    from jax_mdpo.data.settings import DataSettings as DataSettings
    from jax_mdpo.generation.requests import Request as Request
    from jax_mdpo.generation.settings import Decoding as Decoding
    from jax_mdpo.lora.settings import LoRASettings as LoRASettings
    from jax_mdpo.objectives.anchored import Anchored as Anchored
    from jax_mdpo.objectives.conditional import Conditional as Conditional
    from jax_mdpo.objectives.dpo import DPO as DPO
    from jax_mdpo.recipe.answering import evaluate_model as evaluate_model
    from jax_mdpo.recipe.configuration import read_settings as read_settings
    from jax_mdpo.recipe.evaluating import evaluate as evaluate
    from jax_mdpo.recipe.exporting import export as export
    from jax_mdpo.recipe.generating import generate as generate
    from jax_mdpo.recipe.generating import generate_file as generate_file
    from jax_mdpo.recipe.generating import stream as stream
    from jax_mdpo.recipe.human import human_page as human_page
    from jax_mdpo.recipe.human import judge_by_humans as judge_by_humans
    from jax_mdpo.recipe.inspection import InspectionSettings as InspectionSettings
    from jax_mdpo.recipe.inspection import inspect as inspect
    from jax_mdpo.recipe.loading import load as load
    from jax_mdpo.recipe.pairs import evaluate_pairs as evaluate_pairs
    from jax_mdpo.recipe.planning import plan as plan
    from jax_mdpo.recipe.preview import preview as preview
    from jax_mdpo.recipe.reference import reference as reference
    from jax_mdpo.recipe.reporting import Section as Section
    from jax_mdpo.recipe.reporting import compare as compare
    from jax_mdpo.recipe.scoring import score as score
    from jax_mdpo.recipe.settings import RunSettings as RunSettings
    from jax_mdpo.recipe.training import train as train
    from jax_mdpo.studies.run import run_study as run_study
    from jax_mdpo.studies.settings import read_study as read_study

__version__ = "0.1.0"

_HOMES = {
    "PairDataset": "jax_mdpo.data.dataset",
    "Crop": "jax_mdpo.data.hard_negatives",
    "RejectedImage": "jax_mdpo.data.hard_negatives",
    "DataSettings": "jax_mdpo.data.settings",
    "Request": "jax_mdpo.generation.requests",
    "Decoding": "jax_mdpo.generation.settings",
    "LoRASettings": "jax_mdpo.lora.settings",
    "Anchored": "jax_mdpo.objectives.anchored",
    "Conditional": "jax_mdpo.objectives.conditional",
    "DPO": "jax_mdpo.objectives.dpo",
    "read_settings": "jax_mdpo.recipe.configuration",
    "evaluate": "jax_mdpo.recipe.evaluating",
    "evaluate_model": "jax_mdpo.recipe.answering",
    "export": "jax_mdpo.recipe.exporting",
    "generate": "jax_mdpo.recipe.generating",
    "generate_file": "jax_mdpo.recipe.generating",
    "stream": "jax_mdpo.recipe.generating",
    "InspectionSettings": "jax_mdpo.recipe.inspection",
    "inspect": "jax_mdpo.recipe.inspection",
    "load": "jax_mdpo.recipe.loading",
    "plan": "jax_mdpo.recipe.planning",
    "preview": "jax_mdpo.recipe.preview",
    "reference": "jax_mdpo.recipe.reference",
    "Section": "jax_mdpo.recipe.reporting",
    "compare": "jax_mdpo.recipe.reporting",
    "score": "jax_mdpo.recipe.scoring",
    "RunSettings": "jax_mdpo.recipe.settings",
    "evaluate_pairs": "jax_mdpo.recipe.pairs",
    "human_page": "jax_mdpo.recipe.human",
    "judge_by_humans": "jax_mdpo.recipe.human",
    "read_study": "jax_mdpo.studies.settings",
    "run_study": "jax_mdpo.studies.run",
    "train": "jax_mdpo.recipe.training",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jax_mdpo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
