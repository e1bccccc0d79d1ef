"""jax_mdpo's own step in its variants, next to the first of them: what a setting costs or saves, in time and in memory.

python -m benchmarks.step_variants [--size tiny|100m|7b] [--dtype bfloat16] [--rounds N] [--keep]
"""

from dataclasses import replace

from benchmarks.harness.command import parser, run_comparison
from benchmarks.harness.variants import ours

VARIANTS = [
    ours("online", "mdpo"),
    ours("online, with the input pipeline", "mdpo", feed="pipeline"),
    ours("cached", "mdpo", cached=True),
    ours("unrolled", "mdpo", settings={"model": {"scan": False}}),
    *(ours(f"logits of {count} positions", "mdpo", settings={"batch": {"logits_chunk": count}}) for count in (8, 128)),
    *(ours(f"{bits} base", "mdpo", settings={"model": {"quantization": bits}}) for bits in ("int8", "nf4")),
    *(ours(f"{remat} computed again", "mdpo", settings={"model": {"remat": remat}}) for remat in ("elementwise", "mlp", "full")),
]


def main() -> None:
    arguments = parser(__doc__).parse_args()
    programs = [replace(VARIANTS[0], peer=True), *VARIANTS[1:]]
    run_comparison("step_variants", "mdpo", programs, arguments)


if __name__ == "__main__":
    main()
