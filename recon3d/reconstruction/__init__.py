"""From cleaned frames to the grain."""
