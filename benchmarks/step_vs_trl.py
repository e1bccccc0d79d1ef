"""Plain DPO: jax_mdpo's training step against TRL's DPOTrainer at its best settings.

    bash benchmarks/trl_environment.sh
    python -m benchmarks.step_vs_trl [--size tiny|100m|7b] [--dtype bfloat16] [--trl-python PYTHON] [--rounds N] [--keep]

Both read the same checkpoint and the same pairs, start from the same LoRA factors on every linear layer of the decoder, and count
everything from the end of one step to the end of the next: reading JPEG files (jax_mdpo; TRL holds them decoded), preparing the batch,
the step. TRL runs without gradient checkpointing, which is faster than its default (--recomputed adds that).
"""

from functools import partial
from pathlib import Path

from benchmarks.harness.command import parser, run_comparison
from benchmarks.harness.compare import Program
from benchmarks.harness.machine import ROOT
from benchmarks.harness.variants import ours
from benchmarks.harness.work import separate


def trl(name: str, python: str, *, checkpointing: bool) -> Program:
    work = partial(separate, objective="dpo", every_logit=False, again=checkpointing)
    return Program(name, "benchmarks.programs.trl", work, {"checkpointing": checkpointing}, python=python, peer=True)


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--trl-python", default=str(ROOT / ".venv-trl" / "bin" / "python"), help="the interpreter of TRL's environment")
    arguments = given.parse_args()
    python = str(Path(arguments.trl_python).absolute())
    programs = [ours("DPO", "dpo", feed="pipeline"), trl("TRL, DPO", python, checkpointing=False)]
    if arguments.recomputed:
        programs.append(trl("TRL, DPO, gradient checkpointing", python, checkpointing=True))
    run_comparison("step_vs_trl", "dpo", programs, arguments)


if __name__ == "__main__":
    main()
