"""A small world with exact ground truth, in which a model hallucinates by prior: its scenes, files, tiny LLaVA and preference pairs.

Nothing below this floor knows of it: it writes the files that users bring, and what reads, trains on and scores them is what users run.
"""
