"""Engines: many processes that reconstruct one grain, and how they are started."""
