"""Stages: one that was killed is made anew, a finished one is not, and other settings make another."""

import signal
import subprocess
import sys

from jax_mdpo.scenes.scene import WorldSettings
from jax_mdpo.scenes.stages import MADE_FROM, stage

KILLED = """
import os, signal, sys
from pathlib import Path
from jax_mdpo.scenes.stages import stage

def make(folder):
    (folder / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

stage(Path(sys.argv[1]), "world", {"seed": 1}, make)
"""


def test_a_killed_stage_is_made_anew_and_a_finished_one_is_not(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("half.txt"))
    assert not list(tmp_path.glob("world-*"))
    calls = []

    def make(folder):
        calls.append(sorted(path.name for path in folder.iterdir()))
        (folder / "whole.txt").write_text("whole")

    folders = [stage(tmp_path, "world", {"seed": 1}, make) for _ in range(2)]
    assert calls == [[]]  # nothing was left over, and the second time nothing was made
    assert folders[0] == folders[1]
    assert sorted(path.name for path in folders[0].iterdir()) == [MADE_FROM, "whole.txt"]


def test_other_settings_make_another_folder(tmp_path):
    folders = {stage(tmp_path, "world", {"world": WorldSettings(seed=seed)}, lambda folder: None) for seed in (1, 2, 1)}
    assert len(folders) == 2
