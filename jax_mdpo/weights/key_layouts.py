"""LLaVA checkpoints come in three key layouts; one name stands for all three spellings of a tensor or module.

| stored as                                          | by                                   |
|----------------------------------------------------|--------------------------------------|
| language_model.model.*, vision_tower.vision_model.*| transformers before 4.52, llava-hf   |
| the same with vision_tower.*                       | transformers 5                       |
| model.language_model.*, model.vision_tower.*       | transformers 4.52 and later          |

The canonical name is the one that modules have in transformers 5: model.language_model.layers.0.self_attn.q_proj, lm_head,
model.vision_tower.encoder.layers.0.mlp.fc1, model.multi_modal_projector.linear_1.
"""

import re
from collections.abc import Iterable

from jax_mdpo.core.errors import WeightsError

_RULES = [
    (re.compile(pattern), canonical)
    for pattern, canonical in (
        (r"^language_model\.lm_head(?=\.|$)", "lm_head"),
        (r"^language_model\.model(?=\.)", "model.language_model"),
        (r"^vision_tower(?=\.)", "model.vision_tower"),
        (r"^multi_modal_projector(?=\.)", "model.multi_modal_projector"),
        (r"^model\.vision_tower\.vision_model(?=\.)", "model.vision_tower"),
    )
]


def canonical(key: str) -> str:
    """The canonical name of a stored key, or of a module named in any of the layouts; other names stay as they are."""
    for pattern, name in _RULES:
        key = pattern.sub(name, key)
    return key


def by_canonical(keys: Iterable[str]) -> dict[str, str]:
    """Canonical name to stored key, the way back to the source's own layout. Raises WeightsError where two keys share a name."""
    names: dict[str, str] = {}
    for key in keys:
        other = names.setdefault(canonical(key), key)
        if other != key:
            raise WeightsError(f"the checkpoint stores one tensor under two keys: {other} and {key}", expected="one key layout")
    return names
