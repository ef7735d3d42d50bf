"""HDF5 files as BLISS writes them."""
