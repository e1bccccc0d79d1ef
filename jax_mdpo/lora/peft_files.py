"""Adapter folders as PEFT writes and reads them: adapter_config.json and adapter_model.safetensors."""

import json
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import WeightsError
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.lora.targets import Target, match_pattern, settings_of, target
from jax_mdpo.weights.files import CheckpointFiles
from jax_mdpo.weights.key_layouts import canonical as llava_canonical
from jax_mdpo.weights.writing import new_folder, write_tensors

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
Matrix = Float[np.ndarray, "_ _"]
Factors = Mapping[str, tuple[Matrix, Matrix]]  # A [rank, in] and B [out, rank], by module name
DTYPES: dict[str, Any] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}

_LORA_KEY = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<half>[AB])(?:\.default)?\.weight")
_BASE_KEY = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.base_layer\.weight")
# What read_adapter understands, and what says nothing about the adapted weights once the adapter is trained. A setting outside these
# that is switched on changes what the stored factors mean.
_SETTINGS = ("r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern", "use_rslora")
_UNDERSTOOD = {*_SETTINGS, "peft_type", "bias", "init_lora_weights"}
_HARMLESS = {
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode", "runtime_config"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),  # the stored keys say which modules it has
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "megatron_core", "qalora_group_size"),
}
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")  # initialisations that subtract from the base weights


class AdapterFiles(NamedTuple):
    """An adapter as it lies on disk. config: adapter_config.json. factors: A and B in float32 by module name, as `targets` are.

    settings: the same adapter as settings, each module by its full name.
    """

    config: dict[str, Any]
    settings: LoRASettings
    factors: dict[str, tuple[Matrix, Matrix]]
    targets: dict[str, Target]


def read_adapter(
    folder: Path,
    module_names: Collection[str],
    *,
    base: CheckpointFiles | None = None,
    canonical: Callable[[str], str] = llava_canonical,
) -> AdapterFiles:
    """Reads a PEFT adapter. The stored keys decide the modules, A's shape the rank, the config alpha and the kind of scaling.

    module_names: the full names of the model's linear layers; results are keyed by them. canonical: makes stored names and
    `module_names` comparable where the family has several spellings. base: the model's weights; PEFT stores a copy of an adapted
    output head, which is passed over where it equals the base's. Raises WeightsError: no safetensors, a feature of PEFT that is
    not supported (by name), or keys that do not fit, all faults at once.
    """
    config = _read_config(folder)
    _refuse_features(folder, config)
    given = {key: config[key] for key in _SETTINGS if config.get(key) is not None}
    declared = validate(LoRASettings, given, where=str(folder / CONFIG_FILE))
    names = {canonical(name): name for name in module_names}
    tensors = _without_copies(_read_tensors(folder), base, canonical)
    modules = _sort_out(folder / WEIGHTS_FILE, tensors, lambda stored: names.get(canonical(stored)))
    factors = {name: (_float32(modules[name].halves["A"]), _float32(modules[name].halves["B"])) for name in module_names if name in modules}
    targets = {name: _stored_target(declared, name, modules[name].spelled, len(a)) for name, (a, _) in factors.items()}
    settings = settings_of(targets, use_rslora=declared.use_rslora, lora_dropout=declared.lora_dropout)
    return AdapterFiles(config, settings, factors, targets)


def write_adapter(
    folder: Path,
    *,
    factors: Factors,
    targets: Mapping[str, Target],
    base_model: str,
    revision: str | None = None,
    use_rslora: bool | None = None,
    lora_dropout: float = 0.0,
    dtype: str = "float32",
    uniform_scaling: bool = False,
    replace: bool = False,
) -> None:
    """Writes an adapter that PEFT loads onto exactly the modules of `targets`, and that vLLM serves.

    targets: named as transformers 5 names modules, listed in full, since a bare "q_proj" would reach the vision tower too.
    base_model: hub id or path, for adapter_config.json. use_rslora: None takes the kind of scaling that the targets have.
    dtype: of the stored factors, float32, float16 or bfloat16.
    uniform_scaling: multiplies each B so that one scaling holds for all modules: vLLM reads r and lora_alpha and no patterns.
    replace: put the new folder in the place of an existing one. Raises UserError where a filled folder is in the way.
    """
    if factors.keys() != targets.keys():
        raise ValueError(f"factors and targets name different modules: {sorted(factors.keys() ^ targets.keys())}")
    if uniform_scaling:
        factors, targets = _uniform(factors, targets, use_rslora=use_rslora)
    elif len({one.scaling for one in targets.values()}) > 1:
        warnings.warn("the adapter's modules differ in scaling: PEFT reads that, vLLM needs uniform_scaling", UserWarning, stacklevel=2)
    settings = settings_of(targets, use_rslora=use_rslora, lora_dropout=lora_dropout)
    tensors = {}
    for name, (a, b) in factors.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a.astype(DTYPES[dtype])
        tensors[f"base_model.model.{name}.lora_B.weight"] = b.astype(DTYPES[dtype])
    config = json.dumps(_config(settings, base_model, revision), indent=2, sort_keys=True)
    with new_folder(folder, replace=replace) as made:
        write_tensors(made / WEIGHTS_FILE, tensors)
        (made / CONFIG_FILE).write_text(config + "\n", encoding="utf-8")
        (made / "README.md").write_text(_card(base_model, settings), encoding="utf-8")


def _uniform(factors: Factors, targets: Mapping[str, Target], *, use_rslora: bool | None) -> tuple[Factors, dict[str, Target]]:
    settings = settings_of(targets, use_rslora=use_rslora)
    common = target(settings.r, settings.lora_alpha, use_rslora=settings.use_rslora).scaling
    scaled = {name: (a, b * np.float32(targets[name].scaling / common)) for name, (a, b) in factors.items()}
    alpha_of = {one.rank: common * (one.rank**0.5 if settings.use_rslora else one.rank) for one in targets.values()}
    return scaled, {name: target(one.rank, alpha_of[one.rank], use_rslora=settings.use_rslora) for name, one in targets.items()}


def _config(settings: LoRASettings, base_model: str, revision: str | None) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "auto_mapping": None,
        "base_model_name_or_path": base_model,
        "revision": revision,
        "inference_mode": True,
        "r": settings.r,
        "lora_alpha": settings.lora_alpha,
        "lora_dropout": settings.lora_dropout,
        "target_modules": settings.target_modules,
        "rank_pattern": dict(settings.rank_pattern),
        "alpha_pattern": dict(settings.alpha_pattern),
        "use_rslora": settings.use_rslora,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "modules_to_save": None,
        "use_dora": False,
    }


def _card(base_model: str, settings: LoRASettings) -> str:
    hub_id = f"base_model: {base_model}\n" if re.fullmatch(r"[\w.-]+/[\w.-]+", base_model) and not Path(base_model).exists() else ""
    head = f"---\nlibrary_name: peft\n{hub_id}tags:\n- lora\n- dpo\n---\n"
    return head + (
        f"# LoRA adapter of {Path(base_model).name}\n\nRank {settings.r}, alpha {settings.lora_alpha:g}, "
        f"{len(settings.target_modules or ())} adapted modules. Load it with\n"
        "`peft.PeftModel.from_pretrained(base_model, folder)`.\n"
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise WeightsError(f"{folder} is no PEFT adapter: it has no {CONFIG_FILE}", fix="give the folder that PEFT or a training run wrote")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise WeightsError(f"{path} is not an adapter's configuration", expected="a JSON object", got=type(config).__name__)
    return config


def _refuse_features(folder: Path, config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise WeightsError(f"{folder} is not a LoRA adapter", expected="peft_type LORA", got=f"peft_type {config.get('peft_type')}")
    used = [f"{key} = {value!r}" for key, value in config.items() if value and key not in _UNDERSTOOD | _HARMLESS]
    if config.get("bias") not in (None, "none"):
        used.append(f"bias = {config['bias']!r}")
    if str(config.get("init_lora_weights")).startswith(_CHANGES_THE_BASE):
        used.append(f"init_lora_weights = {config['init_lora_weights']!r} (changes the base weights)")
    if used:
        raise WeightsError(
            f"{folder / CONFIG_FILE} uses what is not supported: {', '.join(used)}",
            expected="a plain LoRA adapter",
            fix="merge the adapter into its base with PEFT and give the merged checkpoint, or train a plain adapter",
        )


def _read_tensors(folder: Path) -> dict[str, np.ndarray]:
    path = folder / WEIGHTS_FILE
    if not path.is_file() and (folder / "adapter_model.bin").is_file():
        raise WeightsError(
            f"{folder} holds a pickled adapter_model.bin, which is never read: unpickling runs code",
            expected=WEIGHTS_FILE,
            fix="save it once with PEFT's save_pretrained, which writes safetensors, on a machine where you trust the file",
        )
    if not path.is_file():
        raise WeightsError(f"{folder} has no {WEIGHTS_FILE}")
    try:
        return load_file(path)
    except (SafetensorError, OSError, AttributeError) as error:  # AttributeError: a dtype that numpy does not have
        raise WeightsError(f"{path} cannot be read: {error}", expected="a complete safetensors file") from None


def _without_copies(
    tensors: Mapping[str, np.ndarray], base: CheckpointFiles | None, canonical: Callable[[str], str]
) -> dict[str, np.ndarray]:
    stored = {canonical(key): key for key in base.tensors} if base else {}

    def is_copy(key: str, array: np.ndarray) -> bool:
        match = _BASE_KEY.fullmatch(key)
        original = stored.get(canonical(f"{match['module']}.weight")) if match else None
        return base is not None and original is not None and np.array_equal(_float32(array), _float32(base.read(original)))

    return {key: array for key, array in tensors.items() if not is_copy(key, array)}


class _Module(NamedTuple):
    spelled: str  # as the file names it
    halves: dict[str, np.ndarray]


def _sort_out(path: Path, tensors: Mapping[str, np.ndarray], module_of: Callable[[str], str | None]) -> dict[str, _Module]:
    modules: dict[str, _Module] = {}
    faults = [] if tensors else ["it holds no tensor"]
    for key, array in tensors.items():
        match = _LORA_KEY.fullmatch(key)
        name = module_of(match["module"]) if match else None
        if _BASE_KEY.fullmatch(key):
            faults.append(f"{key} is not the base model's weight: it was changed in training, or another base is loaded")
        elif match is None:
            faults.append(f"{key} is not a LoRA factor (lora_A.weight or lora_B.weight)")
        elif name is None:
            faults.append(f"{key} fits no linear layer of the model")
        elif match["half"] in modules.setdefault(name, _Module(match["module"], {})).halves:
            faults.append(f"{key} is stored twice, under two spellings")
        else:
            modules[name].halves[match["half"]] = array
    faults += [fault for name, module in modules.items() for fault in _pair_faults(name, module.halves)]
    if faults:
        raise WeightsError(f"{path} does not fit the model, {len(faults)} fault(s):\n" + "\n".join(f"  - {fault}" for fault in faults))
    return modules


def _pair_faults(name: str, pair: Mapping[str, np.ndarray]) -> list[str]:
    missing = [f"{name} has no lora_{half}" for half in "AB" if half not in pair]
    if missing:
        return missing
    a, b = pair["A"], pair["B"]
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1] or 0 in (*a.shape, *b.shape):
        return [f"{name}: A {a.shape} and B {b.shape} are not [r, in] and [out, r]"]
    if not all(np.issubdtype(half.dtype, np.floating) or half.dtype == ml_dtypes.bfloat16 for half in (a, b)):
        return [f"{name}: the factors are {a.dtype} and {b.dtype}, not floats"]
    return []


def _stored_target(declared: LoRASettings, name: str, spelled: str, rank: int) -> Target:
    # a pattern may be written for the module names of today's transformers or for those that the keys were stored under
    elsewise = match_pattern(declared.alpha_pattern, spelled, declared.lora_alpha)
    return target(rank, match_pattern(declared.alpha_pattern, name, elsewise), use_rslora=declared.use_rslora)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32)
