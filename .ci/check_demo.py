"""Fails unless the demo in the folder given wrote everything it names, and its figures rose."""

import json
import sys
from pathlib import Path

FILES = ("preview.png", "preview.html", "run/metrics.jsonl", "run/config.yaml", "adapter/adapter_config.json", "merged/config.json")

folder = Path(sys.argv[1])
missing = [name for name in (*FILES, "scores.jsonl") if not (folder / name).stat().st_size]
figures = json.loads((folder / "demo.json").read_text())["figures"]
fallen = [name for name, (before, after) in figures.items() if not after > before + 0.1]
print(f"figures: {figures}")
if missing or fallen:
    sys.exit(f"empty: {missing}; did not rise by 0.1: {fallen}")
