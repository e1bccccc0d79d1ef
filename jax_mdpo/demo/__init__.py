"""The embedded default run: a small world of coloured shapes, a tiny LLaVA, and the whole path through the program."""
