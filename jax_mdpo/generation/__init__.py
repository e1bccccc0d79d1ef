"""Answers from a model: prompts are read once, then token follows token against a cache of keys and values."""
