"""A judge's replies on disk, by what was asked: an evaluation that was broken off goes on where it stopped."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax_mdpo.core.files import write_text


class Replies:
    """A file for each reply, written whole or not at all, named by the digest of the endpoint and the request."""

    def __init__(self, folder: Path):
        self._folder = folder

    def get(self, url: str, request: Mapping[str, Any]) -> tuple[str, str] | None:
        """The text and the model of the reply to this request, if it was kept; a damaged file counts as none."""
        try:
            kept = json.loads(self._path(url, request).read_text(encoding="utf-8"))
            text, model = kept["text"], kept["model"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return (text, model) if isinstance(text, str) and isinstance(model, str) else None

    def put(self, url: str, request: Mapping[str, Any], reply: tuple[str, str]) -> None:
        """Keeps a reply beside what was asked, so that a person can read the file."""
        text, model = reply
        content = {"text": text, "model": model, "endpoint": url, "request": request}
        write_text(self._path(url, request), json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def _path(self, url: str, request: Mapping[str, Any]) -> Path:
        asked = json.dumps({"endpoint": url, "request": request}, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(asked.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.json"
