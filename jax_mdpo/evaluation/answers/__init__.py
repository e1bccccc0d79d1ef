"""Answer files of any model, and how their answers meet a benchmark's questions."""
