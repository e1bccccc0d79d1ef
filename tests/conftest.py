"""Shapes and types that the signatures promise are checked while the tests run.

Compiling is most of the suite's time: it is done with less optimisation of machine code (the program itself is the same), and
programs are shared between tests and the processes that they start.
"""

import os
import signal
from pathlib import Path

from jaxtyping import install_import_hook

CACHE = Path(__file__).parent.parent / ".pytest_cache" / "xla"
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's background job it is ignored, by all programs started here too

install_import_hook("jax_mdpo", "beartype.beartype")
