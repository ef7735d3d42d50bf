"""A grain in the formats of other programs."""
