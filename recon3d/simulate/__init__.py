"""Planted grains and the frames that they would give."""

from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.phantom import PHANTOMS, Phantom, make_phantom
from recon3d.simulate.presets import (
    OFF_CENTRE_POSITION_UM,
    PLANS,
    demo_plan,
    full_plan,
    grain_size_um,
    off_centre_plan,
    rocking_plan,
    strain_plan,
    tilts_plan,
)
from recon3d.simulate.scan_plan import ScanPlan, Steps
from recon3d.simulate.truth import Truth, VoxelTruth
from recon3d.simulate.writers.edf_scan import simulate_scan, simulated_projections

__all__ = [
    "OFF_CENTRE_POSITION_UM",
    "PHANTOMS",
    "PLANS",
    "Phantom",
    "ScanPlan",
    "SimulatedDetector",
    "Steps",
    "Truth",
    "VoxelTruth",
    "demo_plan",
    "full_plan",
    "grain_size_um",
    "make_phantom",
    "off_centre_plan",
    "rocking_plan",
    "simulate_scan",
    "simulated_projections",
    "strain_plan",
    "tilts_plan",
]
