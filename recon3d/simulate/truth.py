"""truth.h5: what was planted, to compare a reconstruction with."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d import __version__
from recon3d.arguments import checked
from recon3d.config.crystal import Crystal
from recon3d.config.volume import Volume
from recon3d.errors import DataError
from recon3d.files.hdf5 import create_own, read_attributes, write_attributes
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.phantom import (
    Bend,
    Cells,
    Constant,
    Gradient,
    Inclusion,
    Phantom,
    Polyhedron,
    Sum,
)
from recon3d.simulate.scan_plan import ScanPlan, Steps

FloatArray = NDArray[np.float64]


_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(Bend, Cells, Constant, Gradient, Inclusion, Sum),
        *(Crystal, Phantom, Polyhedron, ScanPlan, SimulatedDetector, Steps),
    )
}
_WRITTEN = (
    *("phantom", "plan", "detector", "faults"),
    *("handedness", "turning_center_deg", "rotation_center_pix", "centre_row_pix"),
)
"""What truth.h5 has as attributes."""


@dataclass(frozen=True)
class VoxelTruth:
    """The planted grain on the voxels of a reconstruction, arrays of shape (nx, ny, nz).

    Parameters
    ----------
    occupancy
        Mean density of each voxel: the share of it that the grain fills.
    inside
        Where the occupancy is 0.5 or more.
    a_deg, b_deg
        Tilts, means over the filled part of each voxel; NaN where it is empty.
    strain
        Strain along **G**, likewise.
    """

    occupancy: FloatArray
    inside: NDArray[np.bool_]
    a_deg: FloatArray
    b_deg: FloatArray
    strain: FloatArray


@dataclass(frozen=True)
class Truth:
    """A simulated scan's own parameters.

    Parameters
    ----------
    phantom
        The planted grain.
    plan
        The scan; it knows the handedness, the turning centre and the rotation axis.
    detector
        The detector and the beam.
    faults
        What else is wrong, as `recon3d.simulate.faults` names it.
    """

    phantom: Phantom
    plan: ScanPlan
    detector: SimulatedDetector
    faults: tuple[str, ...] = ()

    @property
    def handedness(self) -> int:
        """Handedness, h, of the simulated instrument."""
        return self.plan.handedness

    @property
    def turning_center_deg(self) -> tuple[float, float]:
        """(μ_c, γ_c) of the simulated scan."""
        return self.plan.turning_center_deg

    @property
    def rotation_center_pix(self) -> float:
        """Column of the upright ROI on which the rotation axis falls."""
        return self.plan.roi_centre_pix[1]

    @property
    def centre_row_pix(self) -> float:
        """Row of the upright ROI on which the sample's origin falls."""
        return self.plan.roi_centre_pix[0]

    @checked(oversampling=">= 1")
    def sample_on(self, volume: Volume, oversampling: int = 3) -> VoxelTruth:
        """Average the planted grain over the voxels of a reconstruction.

        `oversampling`: points along each edge of a voxel.
        """
        shares = (np.arange(oversampling) + 0.5) / oversampling - 0.5
        totals = np.zeros((4, *volume.shape))
        for shift in itertools.product(shares, repeat=3):
            axes = [volume.axis_um(i) + shift[i] * volume.voxel_um[i] for i in range(3)]
            sample = self.phantom.sample(*np.meshgrid(*axes, indexing="ij", sparse=True))
            tilts = np.stack([sample.a_deg, sample.b_deg, sample.strain])
            totals[0] += sample.density
            totals[1:] += sample.density * tilts
        filled = totals[0] > 0
        means = np.full((3, *volume.shape), np.nan)
        means[:, filled] = totals[1:, filled] / totals[0, filled]
        occupancy = totals[0] / oversampling**3
        return VoxelTruth(occupancy, occupancy >= 0.5, *means)

    @checked(points=">= 1")
    def save(self, path: str | Path, points: int = 96) -> None:
        """Write truth.h5.

        It holds the grain on a regular grid (`density`, `a`, `b`, `strain`, axes `x`, `y`, `z` in
        µm, NaN outside) of so many points along each axis for other programs, and all parameters as
        attributes.
        """
        axis = np.linspace(-1, 1, points) * 1.02 * self.phantom.radius_um
        axes = [centre + axis for centre in self.phantom.position_um]
        sample = self.phantom.sample(*np.meshgrid(*axes, indexing="ij", sparse=True))
        with create_own(path) as file:
            about = {name: to_plain(getattr(self, name)) for name in _WRITTEN}
            write_attributes(file, {"program": f"recon3d {__version__}", **about})
            for name, values in zip("xyz", axes, strict=True):
                file.create_dataset(name, data=values).attrs["units"] = "um"
            tilts = {"a": sample.a_deg, "b": sample.b_deg, "strain": sample.strain}
            inside = sample.density > 0
            columns = {name: np.where(inside, values, np.nan) for name, values in tilts.items()}
            for name, values in {"density": sample.density, **columns}.items():
                file.create_dataset(name, data=values.astype(np.float32), compression="gzip")
            for name in ("a", "b"):
                file[name].attrs["units"] = "degree"

    @classmethod
    @checked()
    def load(cls, path: str | Path) -> Truth:
        """Read truth.h5; a DataError says why it cannot be read, or is no truth of a scan."""
        try:
            with h5py.File(path, "r") as file:
                values = read_attributes(file)
            parts = [from_plain(values[name]) for name in ("phantom", "plan", "detector")]
            faults = tuple(values.get("faults", ()))
        except (OSError, KeyError, json.JSONDecodeError) as error:
            raise DataError(
                f"{path}: cannot be read as the truth of a simulated scan ({error})"
            ) from error
        phantom, plan, detector = parts
        return cls(phantom, plan, detector, faults)


def to_plain(value: Any) -> Any:
    """Turn dataclasses into dictionaries with a "type", and tuples into lists."""
    if is_dataclass(value):
        named = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **named}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def from_plain(value: Any) -> Any:
    """Build again what `to_plain` took apart; a DataError where a type lacks these fields."""
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    named = {name: from_plain(item) for name, item in value.items() if name != "type"}
    try:
        return _CLASSES[value["type"]](**named)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"'{value.get('type')}' is no part of a simulated scan ({error}): was the file "
            "written by another version?"
        ) from error
