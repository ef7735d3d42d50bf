"""From raw frames to the grain's own signal."""
