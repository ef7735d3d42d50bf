"""The frames of a scan sorted by their motors into projections and settings."""
