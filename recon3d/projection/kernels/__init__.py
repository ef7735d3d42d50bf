"""Compiled loops of the projection."""
