"""Fails unless the demo in the folder given wrote everything it names, and shows what is robust of its comparison."""

import json
import sys
from pathlib import Path

FILES = ("report.html", "table.md", "preview.html", "merged/config.json", "merged/model.safetensors")
F1, TRUE, BLANK = "captions/all/Object F1", "held_out/implicit reward/Accuracy", "held_out/implicit reward/Blank"

folder = Path(sys.argv[1])
missing = [name for name in FILES if not (folder / name).is_file() or not (folder / name).stat().st_size]
figures = {cell["run"]: cell["figures"] for cell in json.loads((folder / "results.json").read_text())}
dpo, blind, mdpo = (figures[run] for run in ("dpo", "dpo without image", "mdpo"))
expected = {
    "mDPO names objects better than DPO": mdpo[F1] > dpo[F1],
    "mDPO prefers what is right less often without the image than DPO, by 5 points at least": mdpo[BLANK] < dpo[BLANK] - 5,
    "DPO prefers what is right more often with the image than trained without it": dpo[TRUE] > blind[TRUE] + 5,
}
print(json.dumps(figures, indent=1))
failed = [claim for claim, holds in expected.items() if not holds]
if missing or failed:
    sys.exit(f"missing or empty: {missing}; does not hold: {failed}")
