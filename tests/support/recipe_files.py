"""Scripts that are no part of a package, as modules."""

import importlib.util

from places import ROOT


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_recipe(name):
    """The recipe that made a part of what ships."""
    return load_module(ROOT / "data" / "recipes" / f"{name}.py")
