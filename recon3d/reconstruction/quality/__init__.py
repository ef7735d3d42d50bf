"""How right a grain is: halves, reprojection, single voxels, trials, doubts."""
