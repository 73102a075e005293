"""A picture to its pixel size, its noise and its spot."""
