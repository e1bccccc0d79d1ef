"""Hallucination benchmarks: each is questions and a scorer that computes what its official tool computes. No jax here."""
