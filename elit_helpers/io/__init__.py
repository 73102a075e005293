"""A microscope file to frames with axes and a pixel size."""
