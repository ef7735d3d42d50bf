"""The grain in napari, which `recon3d.viewer.window.view` opens."""
