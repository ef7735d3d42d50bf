"""What is worked out from frames and grains: moments, misorientation, differences, surfaces."""
