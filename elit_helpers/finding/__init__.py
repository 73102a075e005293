"""Probability maps to the table of atoms, and how sure."""
