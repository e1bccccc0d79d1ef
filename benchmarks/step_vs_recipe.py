"""mDPO's step against the authors' recipe written plainly in torch: same checkpoint, same tokens and pixels, same precision, same LoRA.

    python -m benchmarks.step_vs_recipe [--size tiny|100m|7b] [--dtype bfloat16] [--rounds N] [--keep]

Peers: the recipe as it ships, every block under gradient checkpointing; and the strongest torch version of the same mathematics, its
three sequences in one forward pass, nothing computed twice, logits of response positions only (--recomputed adds one with
checkpointing). Each program runs at its best batch of --batches. Data are ready in memory on both sides: benchmarks/image_pipeline.py
measures the input. Before anything is timed, loss, log-probabilities and gradient norm of the first batch must agree.
"""

from functools import partial

from benchmarks.harness.command import parser, run_comparison
from benchmarks.harness.compare import Program
from benchmarks.harness.variants import mdpo_variants
from benchmarks.harness.work import separate

RECIPE = "benchmarks.programs.torch_recipe"


def recipe(name: str, style: str, *, every_logit: bool, again: bool) -> Program:
    work = partial(separate, objective="mdpo", every_logit=every_logit, again=again)
    return Program(name, RECIPE, work, {"style": style}, peer=True)


def main() -> None:
    arguments = parser(__doc__).parse_args()
    peers = [
        recipe("recipe as shipped", "shipped", every_logit=True, again=True),
        recipe("strongest torch", "strongest", every_logit=False, again=False),
    ]
    if arguments.recomputed:
        peers.append(recipe("strongest torch, checkpointed", "strongest, checkpointed", every_logit=False, again=True))
    run_comparison("step_vs_recipe", "mdpo", [*mdpo_variants(recomputed=arguments.recomputed), *peers], arguments)


if __name__ == "__main__":
    main()
