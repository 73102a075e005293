"""From an image to a report, and an ensemble adapted to one's own frames."""
