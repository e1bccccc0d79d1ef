"""Layers that models are assembled from. They know shapes and axis names, not model families."""
