"""Pictures and labels from atoms: kernels, microscope, disturbances, masks, recipes, training pairs."""
