#!/usr/bin/env bash
# Makes .venv-trl, the peer's own environment for benchmarks/step_vs_trl.py: TRL as released, on torch's CPU build. Needs Python 3.11.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=${TRL_VENV:-$ROOT/.venv-trl}

"${PYTHON:-python3.11}" -m venv "$VENV"
install() { "$VENV/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check "$@"; }
install torch==2.13.0 # first and by exact version: only so is its CPU build taken
install trl==1.16.0 peft==0.21.2 accelerate==1.15.0 datasets==5.2.0 pillow
"$VENV/bin/python" -m pip freeze --disable-pip-version-check | grep -iE '^(torch|trl|peft|accelerate|datasets|transformers)=='
