"""The embedded default run: the smallest study of the scenes world, from pictures on disk to a report and an exported checkpoint."""
