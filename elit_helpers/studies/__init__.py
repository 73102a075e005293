"""Potentials compared, temperature sweeps, healing."""
