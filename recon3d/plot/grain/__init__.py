"""Figures of grains."""
