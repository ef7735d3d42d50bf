"""Raw frames and motors from any file: EDF folders and BLISS HDF5."""
