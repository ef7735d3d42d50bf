"""The grain in napari, which `recon3d.viewer.launch.view` opens."""
