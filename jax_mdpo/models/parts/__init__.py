"""Towers, projectors and decoders, each with its weight rules; families put them together."""
