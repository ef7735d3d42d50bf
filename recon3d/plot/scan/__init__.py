"""Figures of frames, projections and whole scans."""
