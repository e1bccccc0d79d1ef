"""Which modules get an adapter, and of what rank and scaling: PEFT's matching rules, without PEFT.

The rules are those of peft.tuners.tuners_utils.check_target_module_exists and peft.utils.other.get_pattern_key (PEFT 0.21), but a
name that PEFT would ignore, because nothing matches it, is an error here.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from jax_mdpo.core.errors import ConfigError, nearest
from jax_mdpo.lora.settings import LoRASettings

ALL_LINEAR = "all-linear"
_FIRST_LAYER_INDEX = re.compile(r".*?\.[^.]*\.(\d+)\.")
T = TypeVar("T")


class Target(NamedTuple):
    """One adapted module: the update of its weight [out, in] is scaling · B @ A with A [rank, in] and B [out, rank]."""

    rank: int
    alpha: int | float
    scaling: float


def target(rank: int, alpha: int | float, *, use_rslora: bool) -> Target:
    """The scaling of Hu et al. 2021, alpha / rank, or the rank-stabilised one of Kalajdzievski 2023, alpha / sqrt(rank)."""
    return Target(rank, alpha, alpha / (math.sqrt(rank) if use_rslora else rank))


def resolve_targets(settings: LoRASettings, module_names: Sequence[str], *, head: str = "lm_head") -> dict[str, Target]:
    """The modules of `module_names` that `settings` adapts, in the order given.

    module_names: the full names of all linear layers, as transformers names them. head: the output head, which "all-linear" leaves out.
    Raises ConfigError where a name or pattern of the settings matches no module, with the nearest name, or nothing is left to adapt.
    """
    if settings.target_modules is None:
        raise ConfigError("lora.target_modules is not set", fix="name modules, a regular expression, or all-linear")
    _refuse_unmatched(settings, module_names)
    chosen = [name for name in module_names if _is_target(settings, name, head) and not _is_excluded(settings, name)]
    if not chosen:
        raise ConfigError(
            "the LoRA settings leave no module to adapt",
            got=f"target_modules={settings.target_modules!r}, exclude_modules={settings.exclude_modules!r}, "
            f"layers_to_transform={settings.layers_to_transform!r}",
        )
    _refuse_idle_patterns(settings, chosen)
    return {name: _target_of(settings, name) for name in chosen}


def settings_of(targets: Mapping[str, Target], *, use_rslora: bool | None = None, lora_dropout: float = 0.0) -> LoRASettings:
    """Settings that resolve to `targets`: r is the largest rank, and what differs from r and lora_alpha stands in the patterns.

    use_rslora: None takes the kind of scaling that the targets have.
    """
    kinds = (False, True) if use_rslora is None else (use_rslora,)
    fitting = [kind for kind in kinds if all(target(one.rank, one.alpha, use_rslora=kind) == one for one in targets.values())]
    if not targets or not fitting:
        raise ValueError(f"no targets, or scalings that are not those of rank and alpha with use_rslora={use_rslora}: {dict(targets)}")
    largest = max(one.rank for one in targets.values())
    (usual, _), *_ = Counter(one.alpha for one in targets.values() if one.rank == largest).most_common(1)
    return LoRASettings(
        r=largest,
        lora_alpha=usual,
        lora_dropout=lora_dropout,
        use_rslora=fitting[0],
        target_modules=sorted(targets),
        rank_pattern={name: one.rank for name, one in targets.items() if one.rank != largest},
        alpha_pattern={name: one.alpha for name, one in targets.items() if one.alpha != usual},
    )


def match_pattern(patterns: Mapping[str, T], name: str, default: T) -> T:
    """The value of the first pattern that matches the end of `name`, from the start of one of its dotted parts."""
    return next((value for pattern, value in patterns.items() if _matches_end(pattern, name)), default)


def _target_of(settings: LoRASettings, name: str) -> Target:
    rank = match_pattern(settings.rank_pattern, name, settings.r)
    alpha = match_pattern(settings.alpha_pattern, name, settings.lora_alpha)
    return target(rank, alpha, use_rslora=settings.use_rslora)


def _is_target(settings: LoRASettings, name: str, head: str) -> bool:
    wanted = settings.target_modules
    if _is_all_linear(wanted):
        return not _is_named(name, head)
    if isinstance(wanted, str):
        return re.fullmatch(wanted, name) is not None
    assert wanted is not None
    if name in wanted:  # a full name is taken as it is, whatever layers_to_transform says
        return True
    return any(_is_named(name, entry) for entry in wanted) and _is_in_layers(settings, name)


def _is_in_layers(settings: LoRASettings, name: str) -> bool:
    layers = settings.layers_to_transform
    if layers is None or layers == []:
        return True
    if settings.layers_pattern:
        patterns = [settings.layers_pattern] if isinstance(settings.layers_pattern, str) else settings.layers_pattern
        matches = (re.match(rf"(?:^|.*?\.){pattern}\.(\d+)\.", name) for pattern in patterns)
        match = next((found for found in matches if found), None)
    else:
        match = _FIRST_LAYER_INDEX.match(name)
    return match is not None and int(match.group(1)) in ([layers] if isinstance(layers, int) else layers)


def _is_excluded(settings: LoRASettings, name: str) -> bool:
    unwanted = settings.exclude_modules
    if not unwanted:
        return False
    if isinstance(unwanted, str):
        return re.fullmatch(unwanted, name) is not None
    return any(_is_named(name, entry) for entry in unwanted)


def _is_named(name: str, entry: str) -> bool:
    return name == entry or name.endswith(f".{entry}")


def _is_all_linear(wanted: list[str] | str | None) -> bool:
    return isinstance(wanted, str) and wanted.lower() == ALL_LINEAR


def _matches_end(pattern: str, name: str) -> bool:
    return re.match(rf"(.*\.)?({pattern})$", name) is not None


def _refuse_unmatched(settings: LoRASettings, module_names: Sequence[str]) -> None:
    for field, wanted in (("target_modules", settings.target_modules), ("exclude_modules", settings.exclude_modules)):
        if _is_all_linear(wanted) and field == "target_modules":
            continue
        if isinstance(wanted, str) and wanted and not any(re.fullmatch(wanted, name) for name in module_names):
            raise ConfigError(
                f"lora.{field}: the expression {wanted!r} matches no linear layer",
                expected="an expression that matches whole names, such as " + _example(module_names),
            )
        for entry in wanted if isinstance(wanted, list) else ():
            if not any(_is_named(name, entry) for name in module_names):
                raise ConfigError(f"lora.{field}: no linear layer is called {entry!r}", fix=_nearest_module(entry, module_names))


def _refuse_idle_patterns(settings: LoRASettings, chosen: Sequence[str]) -> None:
    for field, patterns in (("rank_pattern", settings.rank_pattern), ("alpha_pattern", settings.alpha_pattern)):
        for pattern in patterns:
            if not any(_matches_end(pattern, name) for name in chosen):
                raise ConfigError(f"lora.{field}: {pattern!r} matches no adapted module", fix=_nearest_module(pattern, chosen))


def _nearest_module(entry: str, module_names: Sequence[str]) -> str:
    depth = entry.count(".") + 1
    return nearest(entry, {".".join(name.split(".")[-depth:]) for name in module_names})


def _example(module_names: Sequence[str]) -> str:
    return module_names[0] if module_names else "(the model has no linear layers)"
