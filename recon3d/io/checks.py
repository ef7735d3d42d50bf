"""Compare what the motors say with what the user says, and what is asked with what is there."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.crystal import Crystal
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.experiment import Experiment
from recon3d.io.grain import Grain
from recon3d.io.motors import MotorTable
from recon3d.io.scan import Scan
from recon3d.io.store import CleanedScan
from recon3d.volume import Volume

_TWO_THETA_TOLERANCE_DEG = 0.2
_PARKED_BELOW_DEG = 1.0
_ENERGY_TOLERANCE = 0.005
_UNEVEN = 1.5
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
        _warn(
            f"the detector arm stands at 2θ = {arm:.3f}°, but hkl {crystal.hkl} at "
            f"{crystal.wavelength_angstrom:g} Å diffracts at {expected:.3f}°: check the unit cell, "
            "hkl and the wavelength"
        )
    energy = _typical(motors.energy_kev)
    energy = energy / 1000 if energy > 1000 else energy
    if energy > 0 and abs(energy / crystal.energy_kev - 1) > _ENERGY_TOLERANCE:
        _warn(
            f"the photon energy in the files is {energy:.4f} keV, but that of the "
            f"wavelength {crystal.wavelength_angstrom:g} Å is {crystal.energy_kev:.4f} keV: check "
            "the wavelength"
        )


def compare_steps(scan: Scan, steps_deg: tuple[float, float], numbers: tuple[float, float]) -> None:
    """Compare the user's steps with those of the motors, which are the truth.

    Parameters
    ----------
    scan
        The scan.
    steps_deg, numbers
        Size and number of the steps of the two tilts, as given.

    Warns
    -----
    Recon3DWarning
        They differ, steps are uneven, or there is one projection only.
    """
    tilts = [axis for axis in scan.axes if axis.name not in ("two_theta", "energy")]
    for axis, step, number in zip(tilts, steps_deg, numbers, strict=False):
        values = axis.values_deg
        if number != values.size:
            _warn(
                f"NUMANGSTEPS is {number:g}, but the motors took {values.size} settings of "
                f"{axis.name}: the motors are used"
            )
        if values.size < 2:
            continue
        measured = (values[-1] - values[0]) / (values.size - 1)
        if abs(abs(step) - measured) > 0.1 * measured:
            _warn(
                f"ANGSTEPS is {step:g}°, but the motors moved {axis.name} in steps of "
                f"{measured:.4g}°: the motors are used"
            )
    for axis in scan.axes:
        _warn_of_uneven_steps(axis.name, axis.values_deg)
    _warn_of_uneven_steps("omega", scan.omega_deg)
    if scan.omega_deg.size == 1:
        _warn("the scan has one projection only: it can be cleaned, but not reconstructed")


def require_rocking(scan: Scan) -> None:
    """Refuse a scan in which no projection has a second frame.

    Raises
    ------
    DataError
        Nothing rocked.
    """
    if np.count_nonzero(scan.valid, axis=1).max(initial=0) < 2:
        first = scan.source.name(int(scan.slots[scan.valid].min(initial=0)))
        raise DataError(
            f"no projection has more than one frame ({scan.shape[0]} projections, from {first}): "
            "nothing rocked, so no orientation can be found. Are all frames there, and the motors "
            "named rightly?"
        )


def require_projections(store: CleanedScan) -> None:
    """Refuse a scan that shows the grain from one side only.

    Raises
    ------
    DataError
        Fewer than `FEWEST_PROJECTIONS` projections have any signal.
    """
    lit = int((store.integrated > 0).any(axis=1).sum())
    if lit < FEWEST_PROJECTIONS:
        raise DataError(
            f"{store.path}: {lit} of {store.shape[0]} projections have signal, and a grain cannot "
            f"be reconstructed from fewer than {FEWEST_PROJECTIONS}: is the scan complete?"
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


def _warn_of_uneven_steps(name: str, values: NDArray[np.float64]) -> None:
    steps = np.diff(values)
    if steps.size > 1 and steps.max() > _UNEVEN * steps.min():
        _warn(
            f"the steps of {name} are uneven, {steps.min():.4g} to {steps.max():.4g}: every frame "
            "is used at the setting that its motors read"
        )


def _typical(readings: NDArray[np.float64]) -> float:
    """Median of the finite readings; 0 where there is none."""
    known = readings[np.isfinite(readings)]
    return float(np.median(known)) if known.size else 0.0


def _warn(message: str) -> None:
    warnings.warn(message, Recon3DWarning, stacklevel=3)
