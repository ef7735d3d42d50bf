"""Folders of EDF files, one frame a file."""
