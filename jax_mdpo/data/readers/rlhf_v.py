"""RLHF-V (Yu et al. 2023): parquet whose `text` holds question, chosen and rejected, as a string of JSON or as a struct."""

import json

from jax_mdpo.core.errors import RecordError
from jax_mdpo.data.readers.format import Format, Row


def unpack_text(row: Row, name: str) -> Row:
    """The row with what stands inside its `text` as columns. Raises RecordError where `text` does not hold the three."""
    text = row.get("text")
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except json.JSONDecodeError as error:
            raise RecordError(f"{name}: its text is not JSON ({error})", fix="repair the row or leave it out") from None
    if not isinstance(text, dict) or not {"question", "chosen", "rejected"} <= set(text):
        raise RecordError(f"{name}: its text lacks an answer", expected="question, chosen and rejected in text", got=repr(text)[:200])
    return {**row, "prompt": text["question"], "chosen": text["chosen"], "rejected": text["rejected"]}


RLHF_V = Format(
    fits=lambda row: "text" in row and "chosen" not in row,
    required=("text",),
    columns={"image": ("image_path",)},
    fields=unpack_text,
)
