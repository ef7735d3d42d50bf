"""What long work needs while it runs: progress, whole files, shared work, compiled code."""
