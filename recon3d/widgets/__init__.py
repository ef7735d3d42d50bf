"""Widgets for notebooks: thin classes that move values and redraw; nothing needs a browser."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recon3d.widgets.display import open_viewer, show
    from recon3d.widgets.engines import Engines
    from recon3d.widgets.grain import GrainSlices, GrainSurface
    from recon3d.widgets.mosaicity import Mosaicity
    from recon3d.widgets.projections import Projections
    from recon3d.widgets.reconstruct import Reconstruct
    from recon3d.widgets.roi import RegionOfInterest
    from recon3d.widgets.session import Session
    from recon3d.widgets.threshold import Threshold

__all__ = [
    "Engines",
    "GrainSlices",
    "GrainSurface",
    "Mosaicity",
    "Projections",
    "Reconstruct",
    "RegionOfInterest",
    "Session",
    "Threshold",
    "open_viewer",
    "show",
]

_HOMES = {
    "Engines": "engines",
    "GrainSlices": "grain",
    "GrainSurface": "grain",
    "Mosaicity": "mosaicity",
    "Projections": "projections",
    "Reconstruct": "reconstruct",
    "RegionOfInterest": "roi",
    "Session": "session",
    "Threshold": "threshold",
    "open_viewer": "display",
    "show": "display",
}


def __getattr__(name: str) -> Any:
    """Load a widget when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'recon3d.widgets' has no attribute '{name}'")
    return getattr(import_module(f"recon3d.widgets.{_HOMES[name]}"), name)
