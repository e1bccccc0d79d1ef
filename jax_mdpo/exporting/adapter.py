"""The trained adapter as a PEFT folder of its own."""

from collections.abc import Mapping
from pathlib import Path

from jax_mdpo.lora.peft_files import Factors, write_adapter
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.lora.targets import Target


def export_adapter(
    out: Path,
    *,
    factors: Factors,
    targets: Mapping[str, Target],
    settings: LoRASettings,
    base_model: str,
    revision: str | None = None,
    dtype: str = "float32",
    uniform_scaling: bool = False,
    replace: bool = False,
) -> None:
    """Writes `factors` for PEFT and vLLM; the kind of scaling and the dropout come from `settings`. See write_adapter."""
    write_adapter(
        out,
        factors=factors,
        targets=targets,
        base_model=base_model,
        revision=revision,
        use_rslora=settings.use_rslora,
        lora_dropout=settings.lora_dropout,
        dtype=dtype,
        uniform_scaling=uniform_scaling,
        replace=replace,
    )
