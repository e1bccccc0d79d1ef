"""One torch LLaVA for the tests of this folder."""

import pytest
import torch
from tiny_llava import tiny_llava


@pytest.fixture(scope="session")
def torch_llava():
    return tiny_llava()


@pytest.fixture(scope="session")
def linear_names(torch_llava):
    return [name for name, module in torch_llava.named_modules() if isinstance(module, torch.nn.Linear)]
