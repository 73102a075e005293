"""Pure numbers on `Atoms`: bonds, rings, defects, their fate, comparison."""
