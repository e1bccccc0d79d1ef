"""Finding a model: folders as they are, hub ids through huggingface_hub, and errors that tell the two apart."""

from fnmatch import fnmatch

import huggingface_hub.constants
import pytest
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.weights.hub import resolve


@pytest.fixture
def downloads(monkeypatch, tmp_path):
    """Calls to the hub, answered with a folder."""
    calls = []

    def snapshot_download(model, **options):
        calls.append((model, options))
        return str(tmp_path / "snapshot")

    monkeypatch.setattr("jax_mdpo.weights.hub.snapshot_download", snapshot_download)
    return calls


def test_a_folder_is_itself(tmp_path, downloads, monkeypatch):
    (tmp_path / "llava-hf" / "llava").mkdir(parents=True)
    assert resolve(str(tmp_path)) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert resolve("llava-hf/llava").resolve() == tmp_path / "llava-hf" / "llava"  # a folder goes before a hub id
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/llava-hf") == tmp_path / "llava-hf"
    assert downloads == []


def test_a_hub_id_is_fetched_without_code_or_pickles(tmp_path, downloads):
    assert resolve("llava-hf/llava-1.5-7b-hf", "main") == tmp_path / "snapshot"
    ((model, options),) = downloads
    assert model == "llava-hf/llava-1.5-7b-hf" and options["revision"] == "main"

    def fetched(name):
        wanted = any(fnmatch(name, pattern) for pattern in options["allow_patterns"])
        return wanted and not any(fnmatch(name, pattern) for pattern in options["ignore_patterns"])

    for name in ("model-00001-of-00003.safetensors", "model.safetensors.index.json", "config.json", "tokenizer.model", "merges.txt"):
        assert fetched(name), name
    for name in ("chat_template.jinja", "additional_chat_templates/tool.jinja", "processor_config.json"):
        assert fetched(name), name
    for name in (
        "pytorch_model.bin",
        "modeling.py",
        "model.pt",
        "flax_model.msgpack",
        "x.gguf",
        "consolidated.safetensors",
        "o/m.safetensors",
    ):
        assert not fetched(name), name


@pytest.mark.parametrize("model", ["./missing", "/missing/folder", "../x", "~/missing", "a/b/c", "runs\\one", "has space/model", ""])
def test_a_path_that_does_not_exist_is_not_looked_for_on_the_hub(model, downloads):
    if model == "":
        model = "missing/"
    with pytest.raises(WeightsError, match="does not exist"):
        resolve(model)
    assert downloads == []


def test_a_missing_path_object_is_never_a_hub_id(tmp_path, downloads):
    with pytest.raises(WeightsError, match="does not exist"):
        resolve((tmp_path / "missing").relative_to(tmp_path))
    assert downloads == []


def test_a_file_is_not_a_model(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(WeightsError, match=f"give the folder: {tmp_path}"):
        resolve(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("error", [OfflineModeIsEnabled("no network"), HFValidationError("bad name"), ConnectionError("no network")])
def test_what_the_hub_says_is_passed_on(monkeypatch, error):
    def refuse(*_args, **_options):
        raise error

    monkeypatch.setattr("jax_mdpo.weights.hub.snapshot_download", refuse)
    with pytest.raises(WeightsError, match=rf"(?s)some/model.*at v2.*{error}.*a local folder"):
        resolve("some/model", "v2")


def test_without_a_network_the_message_says_what_to_do(monkeypatch, tmp_path):
    """huggingface_hub itself, offline, with an empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"(?s)no-such-owner/no-such-model is no folder here.*a local folder"):
        resolve("no-such-owner/no-such-model")
