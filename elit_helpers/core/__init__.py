"""Checks at the door, files, settings, coordinates, the table of atoms, resuming: the ground floor."""
