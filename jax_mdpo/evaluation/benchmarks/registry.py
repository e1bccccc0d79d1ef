"""The benchmarks by the names that `jax-mdpo eval` knows."""

from collections.abc import Mapping

from jax_mdpo.evaluation.benchmarks.protocol import Benchmark

BENCHMARKS: Mapping[str, type[Benchmark]] = {}
