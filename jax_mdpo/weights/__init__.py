"""Checkpoint files, and the tables that say which stored tensor is which leaf of a model."""
