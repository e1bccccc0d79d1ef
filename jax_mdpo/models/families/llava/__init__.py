"""LLaVA-1.5 in transformers' layout: a CLIP tower, a two-layer projector and a LLaMA decoder."""
