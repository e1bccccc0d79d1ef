"""The trained adapter as a PEFT folder of its own."""

from collections.abc import Mapping
from pathlib import Path

from jax_mdpo.lora.peft_files import Factors, write_adapter
from jax_mdpo.lora.targets import Target


def export_adapter(
    out: Path,
    *,
    factors: Factors,
    targets: Mapping[str, Target],
    lora_dropout: float = 0.0,
    base_model: str,
    revision: str | None = None,
    dtype: str = "float32",
    uniform_scaling: bool = False,
    replace: bool = False,
) -> None:
    """Writes `factors` for PEFT and vLLM. See write_adapter."""
    write_adapter(
        out,
        factors=factors,
        targets=targets,
        base_model=base_model,
        revision=revision,
        lora_dropout=lora_dropout,
        dtype=dtype,
        uniform_scaling=uniform_scaling,
        replace=replace,
    )
