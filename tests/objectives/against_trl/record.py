"""Writes losses.json: what TRL's own loss functions make of fixed log-probs, for tests/objectives/test_against_trl.py.

    python3.11 tests/objectives/against_trl/record.py --venv /tmp/venv-trl

makes that environment where it is not there yet (torch's CPU build exists for Python 3.11), with the versions below, and runs in it.
No model is needed: TRL's loss functions are methods of trainers, and a stand-in for the trainer carries the settings that they read.
Version 0.28.0 is the last one whose DPO loss is a function of log-probs. All is computed in float64, except ORPO, which TRL casts to
float32, so that the differences that a test finds are the other side's rounding.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).parent
VERSIONS = {  # transformers 5 breaks this TRL's tests of what is installed, and datasets 5 needs what comes with it
    "torch": "2.13.0",
    "trl": "0.28.0",
    "transformers": "4.57.6",
    "datasets": "4.5.0",
    "accelerate": "1.15.0",
    "numpy": "2.4.6",
}
INSIDE = "RECORDING_TRL_LOSSES"


def enter(venv: Path) -> None:
    """Goes on in the environment, which is made first where it is missing."""
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, f"torch=={VERSIONS['torch']}"], check=True)  # first, or CUDA's packages come along
        subprocess.run([*install, *(f"{name}=={version}" for name, version in VERSIONS.items() if name != "torch")], check=True)
    os.execve(python, [str(python), *sys.argv], {**os.environ, INSIDE: "1", "TRL_EXPERIMENTAL_SILENCE": "1"})


def inputs() -> dict[str, list[float]]:
    """Log-probs of 24 pairs under both models, in nats, and the lengths of their responses; the last pairs are extremes.

    Summed log-probs are multiples of 1/64 and lengths powers of two: their sums, differences and means are exact in float32 as well.
    """
    import numpy as np

    rng = np.random.default_rng(20261122)
    lengths = {name: 2 ** rng.integers(0, 8, 24) for name in ("chosen", "rejected")}
    found = {f"{name}_length": [int(length) for length in of] for name, of in lengths.items()}
    for name, of in lengths.items():
        reference = -rng.gamma(2.0, 0.4, 24) * of - 1 / 64
        policy = np.minimum(reference + rng.normal(0.0, 2.0, 24), -1 / 64)
        for model, logps in (("policy", policy), ("reference", reference)):
            found[f"{model}_{name}"] = (np.round(logps * 64) / 64).tolist()
    extremes = [  # policy chosen, policy rejected, reference chosen, reference rejected
        (-1e4, -1.0, -1.0, -1e4),
        (-1.0, -1e4, -1e4, -1.0),
        (-1e4, -1e4, -1e4, -1e4),
        (-1 / 64, -1 / 64, -1 / 64, -1 / 64),
        (-1e4, -1 / 64, -1e4, -1 / 64),
    ]
    for place, values in enumerate(extremes, start=24 - len(extremes)):
        for name, value in zip(("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected"), values, strict=True):
            found[name][place] = value
    return found


def record(command: str) -> dict[str, Any]:
    """All cases, with their inputs."""
    import torch
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer
    from trl.trainer.dpo_config import FDivergenceType
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.utils import RunningMoments

    given = inputs()
    sums = {name: torch.tensor(values, dtype=torch.float64) for name, values in given.items()}
    means = {name: values / sums[f"{name.split('_')[1]}_length"] for name, values in sums.items() if "length" not in name}
    accelerator = SimpleNamespace(device="cpu", use_distributed=False)
    order = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")
    cases: list[dict[str, Any]] = []

    def add(trl: str, settings: dict[str, Any], losses: Any, chosen: Any, rejected: Any) -> None:
        values = {"losses": losses, "chosen_rewards": chosen, "rejected_rewards": rejected}
        cases.append({"trl": trl, **settings, **{name: finite(of.tolist()) for name, of in values.items()}})

    def dpo(loss_type: str, *, averaged: bool = False, beta: float = 0.1, smoothing: float = 0.0, **more: Any) -> None:
        divergence, coefficient = more.get("divergence", "reverse_kl"), more.get("coefficient")
        trainer = SimpleNamespace(
            accelerator=accelerator,
            beta=beta,
            label_smoothing=smoothing,
            reference_free=False,
            f_divergence_type=FDivergenceType(divergence),
            f_divergence_params={} if coefficient is None else {"alpha_divergence_coef": coefficient},
            running=SimpleNamespace(update=lambda rewards: None, mean=more.get("delta")),
        )
        values = DPOTrainer.dpo_loss(trainer, *((means if averaged else sums)[name] for name in order), loss_type=loss_type)
        settings = {"loss_type": loss_type, "averaged": averaged, "beta": beta, "label_smoothing": smoothing, **more}
        add("DPOTrainer.dpo_loss", settings, *values)

    for beta in (0.1, 1.0):
        for smoothing in (0.0, 0.1):
            dpo("sigmoid", beta=beta, smoothing=smoothing)
        dpo("robust", beta=beta, smoothing=0.1)
        dpo("exo_pair", beta=beta, smoothing=0.01)
        dpo("hinge", beta=beta)
        for averaged in (False, True):
            dpo("ipo", beta=beta, averaged=averaged)
        dpo("sigmoid", beta=beta, averaged=True)
        for loss_type, smoothing in (("sigmoid", 0.1), ("hinge", 0.0), ("robust", 0.2)):
            dpo(loss_type, beta=beta, smoothing=smoothing, divergence="js_divergence")
            for coefficient in (1.0, 0.25):
                dpo(loss_type, beta=beta, smoothing=smoothing, divergence="alpha_divergence", coefficient=coefficient)
        for loss_type in ("nca_pair", "sppo_hard", "apo_zero", "apo_down"):
            dpo(loss_type, beta=beta)
        for delta in (0.0, 0.7, -3.0):
            dpo("bco_pair", beta=beta, delta=delta)
    for beta, gamma in ((2.0, 0.5), (10.0, 3.0), (0.1, 0.0)):
        trainer = SimpleNamespace(alpha=0.0, beta=beta, loss_type="simpo", simpo_gamma=gamma, label_smoothing=0.0, accelerator=accelerator)
        values = CPOTrainer.cpo_loss(trainer, means["policy_chosen"], means["policy_rejected"])
        add("CPOTrainer.cpo_loss", {"loss_type": "simpo", "averaged": True, "beta": beta, "gamma": gamma}, *values)
    trainer = SimpleNamespace(beta=1.0, accelerator=accelerator)
    losses, *rewards = ORPOTrainer.odds_ratio_loss(trainer, means["policy_chosen"], means["policy_rejected"])[:3]
    add("ORPOTrainer.odds_ratio_loss", {"averaged": True, "beta": 1.0}, losses, *rewards)

    running, rewards_of_steps = RunningMoments(accelerator), [0.0, 0.25, -1.5, 3.0, 0.125]
    running_means = []
    for reward in rewards_of_steps:  # bco_pair gives it the mean reward of each batch
        running.update(torch.tensor(reward))
        running_means.append(float(running.mean))
    return {
        "command": command,
        "versions": versions(),
        "inputs": given,
        "cases": cases,
        "running": {"trl": "RunningMoments.update", "rewards": rewards_of_steps, "means": running_means},
    }


def finite(values: list[float]) -> list[float | None]:
    """The values, with None for what left even float64: JSON knows no infinities."""
    return [value if math.isfinite(value) else None for value in values]


def written(found: dict[str, Any]) -> str:
    """JSON with one list of numbers to a line."""
    return re.sub(r"\[[^\[\]{}]*\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]), json.dumps(found, indent=1)) + "\n"


def versions() -> dict[str, str]:
    """What is installed; an environment that holds anything else is refused."""
    from importlib.metadata import version

    found = {name: version(name).partition("+")[0] for name in VERSIONS}
    if found != VERSIONS:
        raise SystemExit(f"the environment holds {found}, but {VERSIONS} are asked for: name a folder that does not exist yet")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, required=True, help="the environment that holds TRL; made where it is missing")
    parser.add_argument("--out", type=Path, default=HERE / "losses.json")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        enter(arguments.venv)
    found = record(f"python3.11 {Path(__file__).relative_to(HERE.parents[2])} --venv VENV")
    arguments.out.write_text(written(found), encoding="utf-8")
    print(f"{arguments.out}: {len(found['cases'])} cases of {len(found['inputs']['policy_chosen'])} pairs")


if __name__ == "__main__":
    main()
