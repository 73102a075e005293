"""What the notebooks need: begin and end, hand-over, exercises, check of the installation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["exercises"])
