"""Algorithm 1 of ELIT: its lines and the loop."""
