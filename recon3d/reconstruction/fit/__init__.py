"""Backprojection, the iterative fit, and what they share."""
