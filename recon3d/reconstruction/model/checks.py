"""Compare what the motors say with what the user says, and what is asked with what is there."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.crystal import Crystal
from recon3d.config.experiment import Experiment
from recon3d.config.volume import Volume
from recon3d.errors import DataError, ParameterError, warn
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.readers.motors import MotorTable

_TWO_THETA_TOLERANCE_DEG = 0.2
_PARKED_BELOW_DEG = 1.0
_ENERGY_TOLERANCE = 0.005
_BYTES_A_VOXEL = 80

_COUNTED = (
    "saturated_frames",
    "saturated_pixels",
    "wrapped_pixels",
    "hot_pixels_replaced",
    "pixels_dropped_by_mask",
    "projections_without_dark",
    "projections_unscaled",
)

FEWEST_PROJECTIONS = 2
"""From one projection nothing can be told of the depth of a grain."""


def check_energy(motors: MotorTable, crystal: Crystal) -> None:
    """Compare the detector arm and the photon energy with the crystal and the wavelength.

    A detector arm within 1° of zero is parked and says nothing; an energy above 1000 is
    taken as given in eV. What is not known is not compared.

    Parameters
    ----------
    motors
        Readings of a scan, of any shape.
    crystal
        The reflection and the wavelength that the user gave.

    Warns
    -----
    Recon3DWarning
        2θ differs by more than 0.2°, or the energy by more than 0.5 %.
    """
    arm = abs(_typical(motors.two_theta_deg))
    expected = 2 * crystal.bragg_angle_deg
    if arm >= _PARKED_BELOW_DEG and abs(arm - expected) > _TWO_THETA_TOLERANCE_DEG:
        warn(
            f"the detector arm stands at 2θ = {arm:.3f}°, but hkl {crystal.hkl} at "
            f"{crystal.wavelength_angstrom:g} Å diffracts at {expected:.3f}°: check the unit cell, "
            "hkl and the wavelength"
        )
    energy = _typical(motors.energy_kev)
    energy = energy / 1000 if energy > 1000 else energy
    if energy > 0 and abs(energy / crystal.energy_kev - 1) > _ENERGY_TOLERANCE:
        warn(
            f"the photon energy in the files is {energy:.4f} keV, but that of the "
            f"wavelength {crystal.wavelength_angstrom:g} Å is {crystal.energy_kev:.4f} keV: check "
            "the wavelength"
        )


def require_projections(store: CleanedScan) -> None:
    """Refuse a scan that shows the grain from one side only.

    Raises
    ------
    DataError
        Fewer than `FEWEST_PROJECTIONS` projections have any signal.
    """
    illuminated = int((store.integrated > 0).any(axis=1).sum())
    if illuminated < FEWEST_PROJECTIONS:
        raise DataError(
            f"{store.path}: {illuminated} of {store.shape[0]} projections have signal, and a grain "
            f"cannot be reconstructed from fewer than {FEWEST_PROJECTIONS}: is the scan complete?"
        )


def require_memory(volume: Volume) -> None:
    """Refuse a volume that this computer cannot hold.

    Raises
    ------
    ParameterError
        Its voxels take more than the memory that the computer has, or lets this process have.
    """
    needed, there = math.prod(volume.shape) * _BYTES_A_VOXEL, _memory_bytes()
    if needed > there:
        raise ParameterError(
            f"grain_steps {list(volume.shape)}: {math.prod(volume.shape):.3g} voxels take at least "
            f"{needed / 2**30:.3g} GiB, and {there / 2**30:.3g} are there for them: choose fewer"
        )


def _memory_bytes() -> float:
    """Memory of the computer, or what a limit (`ulimit -v`) leaves of it to this process."""
    try:
        import resource

        there = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, AttributeError, OSError, ValueError):
        return math.inf  # this system does not tell
    return there if limit == resource.RLIM_INFINITY else min(there, limit)


def check_centres(experiment: Experiment) -> None:
    """Look for centres that count from the region of interest, before another one is chosen.

    Warns
    -----
    Recon3DWarning
        The .ini file gives some.
    """
    given = [key for key in ("centre_row", "rotation_center") if key in experiment.source]
    if given:
        warn(
            f"the .ini file gives {' and '.join(given)}, in pixels of the region of interest that "
            "it was made for: where you choose another, change them by as much"
        )


def check_before(store: CleanedScan, experiment: Experiment) -> None:
    """Look whether a scan can be reconstructed as an experiment says, before it is begun.

    Raises
    ------
    DataError
        Too few projections have signal.
    ParameterError
        The volume does not fit into the memory of this computer.

    Warns
    -----
    Recon3DWarning
        The detector arm or the photon energy is not that of the reflection.
    """
    check_energy(store.motors, experiment.crystal)
    require_projections(store)
    require_memory(experiment.volume)


def with_counts(grain: Grain, store: CleanedScan) -> Grain:
    """Add, for the record, how many projections and frames of a scan a grain rests on."""
    return replace(grain, provenance=_counts_of(store, grain) | grain.provenance)


def _counts_of(store: CleanedScan, grain: Grain) -> dict[str, int]:
    """How many projections, frames and pixels of a scan a grain rests on, for the record.

    What the scan does not tell, as it was cleaned by an older version, is left out.
    """
    used = grain.projections.get("omega", store.omega_deg).size
    counted = {name: store.provenance[name] for name in _COUNTED if name in store.provenance}
    return counted | {
        "projections_in_scan": store.shape[0],
        "projections_used": int(used),
        "projections_excluded": store.shape[0] - int(used),
        "frames_missing": int((~store.valid).sum()),
        "frames_left_out": int(store.provenance.get("frames_left_out", 0)),
    }


def _typical(readings: NDArray[np.float64]) -> float:
    """Median of the finite readings; 0 where there is none."""
    known = readings[np.isfinite(readings)]
    return float(np.median(known)) if known.size else 0.0
