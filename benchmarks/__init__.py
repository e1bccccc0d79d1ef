"""What the program's speed is measured with. Each file here is a command (`python -m benchmarks.step_vs_recipe`); docs/benchmarks.md
explains them. harness/ holds what they share, programs/ what is measured, each in a process of its own.
"""
