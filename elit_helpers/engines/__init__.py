"""Who computes forces and steps: LAMMPS, ASE, xTB, DFTB+, GPAW."""
