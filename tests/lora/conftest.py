"""One torch LLaVA for the tests of this folder."""

import pytest


@pytest.fixture(scope="session")
def torch_llava():
    from tiny_llava import tiny_llava  # needs torch, which a conftest must not ask for where the tests are skipped

    return tiny_llava()


@pytest.fixture(scope="session")
def linear_names(torch_llava):
    import torch

    return [name for name, module in torch_llava.named_modules() if isinstance(module, torch.nn.Linear)]
