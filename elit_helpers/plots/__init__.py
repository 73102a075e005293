"""Draws what the other folders return, onto a given axis, with scale bar and units.

Every function takes the data first and ``ax=None`` (the current axis), and returns the axis. Colours are
safe for the colour-blind, and elements differ in marker as well as in colour.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
