"""Preference objectives as terms over views; a loss is a list of them."""
