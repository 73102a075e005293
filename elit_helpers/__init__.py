"""From a microscope picture to a simulation.

Simulated STEM images, ensembles of networks adapted to an experiment (ELIT), atoms with elements and
error bars, structures, molecular dynamics and tight binding: the functions under the course's notebooks.
Import it as ``import elit_helpers as eh``; everything public is listed in
``__init__.pyi``, by the file it lives in, and loads that file at first use: the import stays fast, and a
missing engine is no obstacle to the rest.
"""

from __future__ import annotations

import os

import lazy_loader

# Threads of torch, tblite and LAMMPS wait by spinning unless told otherwise. Where two programs share the
# processors that costs ten times the time; it must be said before the first of them is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
