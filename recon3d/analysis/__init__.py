"""What frames and grains say: maps of projections, misorientation, cells, dislocations, profiles.

The public names, which `dir()` lists, are loaded when they are first used.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Cells": "cells",
    "Mosaicity": "projection_maps",
    "boundaries": "misorientation",
    "curvature": "dislocations",
    "dislocation_density": "dislocations",
    "distribution": "profiles",
    "find_cells": "cells",
    "grain_difference": "difference",
    "kernel_average_error": "misorientation",
    "kernel_average_misorientation": "misorientation",
    "line_profile": "profiles",
    "mosaicity": "projection_maps",
    "projection_moments": "moments",
    "surface_of": "surface",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'recon3d.analysis' has no attribute '{name}'")
    return getattr(import_module(f"recon3d.analysis.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Name what the room offers."""
    return __all__
