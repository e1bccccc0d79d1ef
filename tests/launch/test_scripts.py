"""Every script of the repository passes shellcheck."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = [*REPOSITORY.glob("launch/*.sh"), *REPOSITORY.glob("benchmarks/*.sh"), REPOSITORY / ".ci" / "run"]
SHELLCHECK = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck comes with the lint extra")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(script):
    done = subprocess.run([SHELLCHECK, "--external-sources", script], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
