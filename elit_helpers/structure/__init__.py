"""The table of atoms to `Atoms` and back: cell, regions, patches, proposals, writers."""
