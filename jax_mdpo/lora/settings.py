"""What a LoRA adapter is: rank, scaling and targets, spelled as PEFT spells them (peft.LoraConfig)."""

import re
from collections.abc import Mapping
from dataclasses import field

from jax_mdpo.core.config import config


@config
class LoRASettings:
    """Fields, defaults and matching rules are those of peft.LoraConfig (PEFT 0.21).

    target_modules: names (a module matches when its full name is one, or ends with "." + one), a regular expression over the full
    name, or "all-linear" (every linear layer but the output head). None: the model family's default, its decoder's linear layers.
    exclude_modules: names or a regular expression, taken out again.
    rank_pattern, alpha_pattern: other ranks and alphas, by a regular expression for the end of the module's name.
    use_rslora: the update is scaled by lora_alpha / sqrt(r) instead of lora_alpha / r.
    layers_to_transform, layers_pattern: only these layers, where target_modules is a list of names.
    """

    r: int = 8
    lora_alpha: int | float = 8
    lora_dropout: float = 0.0
    target_modules: list[str] | str | None = None
    exclude_modules: list[str] | str | None = None
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, int | float] = field(default_factory=dict)
    use_rslora: bool = False
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None

    def __post_init__(self) -> None:
        if any(rank < 1 for rank in (self.r, *self.rank_pattern.values())):
            raise ValueError("a rank is at least 1: see r and rank_pattern")
        if any(alpha <= 0 for alpha in (self.lora_alpha, *self.alpha_pattern.values())):
            raise ValueError("an alpha is above 0: see lora_alpha and alpha_pattern")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"lora_dropout is at least 0 and below 1, got {self.lora_dropout}")
        if isinstance(self.target_modules, str) and (self.layers_to_transform is not None or self.layers_pattern is not None):
            raise ValueError("layers_to_transform and layers_pattern need target_modules as a list: name the layers in the expression")
        if self.layers_pattern and self.layers_to_transform is None:
            raise ValueError("layers_pattern does nothing without layers_to_transform")
        self._check_expressions()

    def _check_expressions(self) -> None:
        single = [text for text in (self.target_modules, self.exclude_modules, self.layers_pattern) if isinstance(text, str)]
        for expression in (*single, *self.rank_pattern, *self.alpha_pattern):
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(f"{expression!r} is not a regular expression: {error}") from None
