"""Relaxation and dynamics by a named engine."""
