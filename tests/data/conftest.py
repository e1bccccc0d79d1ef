"""Processors, pictures and data files that the tests of this folder share."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_processors import CHATML, VICUNA, byte_level, llama_like, write_processor

from jax_mdpo.models.families.llava.processor import LlavaProcessor


@pytest.fixture(scope="session")
def vicuna_folder(tmp_path_factory) -> Path:
    return write_processor(tmp_path_factory.mktemp("vicuna"), llama_like(), VICUNA)


@pytest.fixture(scope="session")
def chatml_folder(tmp_path_factory) -> Path:
    return write_processor(tmp_path_factory.mktemp("chatml"), byte_level(), CHATML)


@pytest.fixture(scope="session")
def vicuna(vicuna_folder) -> LlavaProcessor:
    return LlavaProcessor.load(vicuna_folder)


@pytest.fixture(scope="session")
def chatml(chatml_folder) -> LlavaProcessor:
    return LlavaProcessor.load(chatml_folder)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_MDPO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder with cat.jpg and dog.jpg, 40 × 32 pixels of noise."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed, name in enumerate(("cat.jpg", "dog.jpg")):
        noise = np.random.default_rng(seed).integers(0, 256, (32, 40, 3), np.uint8)
        Image.fromarray(noise).save(folder / name)
    return folder


@pytest.fixture
def write_lines(tmp_path):
    """(rows) → the path of a JSON lines file that holds them; a row given as bytes is written as it is."""

    def write(*rows, name: str = "pictures/pairs.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
        return path

    return write
