"""How right a grain is: halves, reprojection, single voxels, a known truth."""
