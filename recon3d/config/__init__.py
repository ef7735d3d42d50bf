"""What an experiment is and how it is worked on: every setting, its unit, bounds and default."""
