"""XLA flags for the programs of tests that compare a program with itself: compiling is most of their time.

XLA's older way of writing CPU code halves it; jaxlib 0.12 has it no more.
"""

import os
from importlib.metadata import version

QUICKLY = ("--xla_cpu_use_fusion_emitters=false",) if version("jaxlib").startswith("0.10.") else ()


def xla_flags(*more: str) -> str:
    """This process's flags, those that compile quickly, and `more`: what XLA_FLAGS is to be."""
    return " ".join([*os.environ.get("XLA_FLAGS", "").split(), *QUICKLY, *more])
