"""Checks at the door, files, settings, coordinates: what every other folder stands on."""
