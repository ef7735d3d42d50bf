"""Simulated scans as files: EDF folders, BLISS files, the .ini beside them."""
