"""Planted grains and the frames that they would give."""
