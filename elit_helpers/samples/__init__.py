"""Materials that know their lattice; sheets, defects, edges and contamination as ASE `Atoms`."""
