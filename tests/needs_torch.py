"""Importing this skips a test module where torch is not installed: its CPU build exists for Python 3.11 only.

Import it before anything that imports torch; the import order of the linter does so.
"""

import pytest

pytest.importorskip("torch", reason="torch's CPU build exists for Python 3.11 only")
