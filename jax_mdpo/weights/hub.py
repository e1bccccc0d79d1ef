"""Where a model named by the user lies: a folder, or a repository of the Hugging Face hub."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download

from jax_mdpo.core.errors import WeightsError

_WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken"]  # weights, configs, tokenizers: no code, no pickles
_UNWANTED = ["consolidated*.safetensors", "*/*.safetensors"]  # second copies of the weights in other libraries' layouts
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def resolve(model: str | Path, revision: str | None = None, *, weights: bool = True) -> Path:
    """The folder of `model`: itself where it is a folder, otherwise the local copy of that hub repository, fetched where needed.

    revision: a branch, tag or commit of the hub repository. weights: whether they are fetched too, or configuration and processor alone.
    Raises WeightsError where neither exists or the hub cannot be reached.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise WeightsError(f"{model} is a file", expected="a checkpoint folder or a hub id", fix=f"give the folder: {path.parent}")
    if isinstance(model, Path) or not _HUB_ID.fullmatch(model):
        raise WeightsError(f"{model} does not exist", expected="a checkpoint folder, or a hub id such as llava-hf/llava-1.5-7b-hf")
    unwanted = _UNWANTED if weights else ["*.safetensors"]
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=_WANTED, ignore_patterns=unwanted))
    except (OSError, ValueError) as error:  # everything that huggingface_hub raises about a repository, a name or the network
        raise WeightsError(
            f"{model} is no folder here and could not be fetched from the Hugging Face hub" + (f" at {revision}" if revision else ""),
            got=" ".join(str(error).split()) or type(error).__name__,
            fix="check the path or the id; a private model needs `hf auth login`, a machine without network a local folder",
        ) from None
