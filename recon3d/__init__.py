"""Recon3D: 3D grain shape, orientation and strain from dark-field X-ray microscopy.

The names below are loaded when they are first used, so ``import recon3d`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recon3d.config.cleaning import Cleaning
    from recon3d.config.experiment import Experiment
    from recon3d.errors import (
        DataError,
        GridError,
        ParameterError,
        Recon3DError,
        Recon3DWarning,
    )
    from recon3d.files.grain import Grain
    from recon3d.files.store import CleanedScan, open_store
    from recon3d.parallel.clean import clean
    from recon3d.parallel.cluster import Cluster
    from recon3d.parallel.reconstruct import reconstruct
    from recon3d.scan.scan import Scan, open_scan
    from recon3d.viewer.launch import view

__version__ = "0.1.0"

__all__ = [
    "CleanedScan",
    "Cleaning",
    "Cluster",
    "DataError",
    "Experiment",
    "Grain",
    "GridError",
    "ParameterError",
    "Recon3DError",
    "Recon3DWarning",
    "Scan",
    "__version__",
    "clean",
    "open_scan",
    "open_store",
    "reconstruct",
    "view",
]

_HOMES = {
    "CleanedScan": "recon3d.files.store",
    "Cleaning": "recon3d.config.cleaning",
    "Cluster": "recon3d.parallel.cluster",
    "DataError": "recon3d.errors",
    "Experiment": "recon3d.config.experiment",
    "Grain": "recon3d.files.grain",
    "GridError": "recon3d.errors",
    "ParameterError": "recon3d.errors",
    "Recon3DError": "recon3d.errors",
    "Recon3DWarning": "recon3d.errors",
    "Scan": "recon3d.scan.scan",
    "clean": "recon3d.parallel.clean",
    "open_scan": "recon3d.scan.scan",
    "open_store": "recon3d.files.store",
    "reconstruct": "recon3d.parallel.reconstruct",
    "view": "recon3d.viewer.launch",
}


_ROOMS = ("analysis", "plot", "simulate", "widgets")
"""Rooms that can be used without being imported: `r3.analysis.find_cells(grain)`."""


def __getattr__(name: str) -> Any:
    """Load a public name from its home, once."""
    if name in _ROOMS:
        return import_module(f"recon3d.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'recon3d' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what the package offers, loaded or not."""
    return sorted({*globals(), *__all__, *_ROOMS})
