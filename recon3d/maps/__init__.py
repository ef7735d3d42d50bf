"""Maps made from a reconstructed grain: misorientation, differences, its surface."""
