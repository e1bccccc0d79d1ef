"""On PYTHONPATH: Python starts as if torch were not installed. Training needs none, and its import takes seconds."""

import sys
from importlib.machinery import PathFinder


class WithoutTorch(PathFinder):
    """Finds everything but torch."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutTorch
