"""Compiled loops of the cleaning."""
