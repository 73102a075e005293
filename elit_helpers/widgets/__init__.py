"""Thin ipywidgets and nglview around the plots, each with a picture for pages without a kernel."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
