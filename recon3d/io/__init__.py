"""Files in and out: detector frames, the cleaned store, and the reconstructed grain."""
