"""Slices of a grain as crystal maps, for programs that read EBSD: Channel 5, MTEX, orix."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d import __version__
from recon3d.files.exports.volumes import columns
from recon3d.files.grain import Grain
from recon3d.files.hdf5 import create_own
from recon3d.files.rotations import euler_bunge_deg, lattice, notes, rotation_matrices
from recon3d.runtime.atomic import complete_or_absent

FloatArray = NDArray[np.float64]

_NO_CELL = (1.0, 1.0, 1.0, 90.0, 90.0, 90.0)


class Slice(NamedTuple):
    """A slice of a grain as a map: X and Y follow the axis across it, in turn (x, y, z, x, ...)."""

    across: Literal["x", "y", "z"]
    number: int

    @property
    def axes(self) -> tuple[int, int, int]:
        """The sample's axes that are X and Y of the map, and the one across: right-handed."""
        normal = "xyz".index(self.across)
        return (normal + 1) % 3, (normal + 2) % 3, normal

    def image(self, values: Any) -> NDArray[Any]:
        """Values over the volume in the slice, (Y, X, ...)."""
        x, _, normal = self.axes
        plane = np.take(values, self.number, axis=normal)
        # What is left is in the order x, y, z: X comes first unless the order wraps round.
        return np.swapaxes(plane, 0, 1) if x == min(self.axes[:2]) else plane


class _Map(NamedTuple):
    """What a crystal map says of each voxel, all flat, X fastest; angles in degrees."""

    shape: tuple[int, int]
    x_um: FloatArray
    y_um: FloatArray
    known: NDArray[np.bool_]
    euler_deg: FloatArray


def map_of(grain: Grain, cut: Slice) -> _Map:
    """The crystal map of a slice; its angles are those between crystal and map axes (X, Y)."""
    axes = cut.axes
    tilts = cut.image(grain.orientation).astype(float).reshape(-1, 2)
    known = cut.image(grain.oriented).reshape(-1)
    matrices = rotation_matrices(tilts[known], grain.mean_tilt_deg, grain.provenance)
    euler = np.zeros((known.size, 3))
    euler[known] = euler_bunge_deg(matrices[:, axes, :])
    x, y = (grain.volume.axis_um(axis) for axis in axes[:2])
    place = np.meshgrid(x, y)
    return _Map((y.size, x.size), place[0].ravel(), place[1].ravel(), known, euler)


def _notes(grain: Grain, cut: Slice) -> str:
    """What must be known of the angles in a file, in one line."""
    x, y, _ = ("xyz"[axis] for axis in cut.axes)
    at = grain.volume.axis_um("xyz".index(cut.across))[cut.number]
    where = f"slice {cut.across} = {at:.6g} um, X is {x}, Y is {y}, G is along y"
    return f"{where}; {notes(grain.provenance)}"


def write_ctf(grain: Grain, cut: Slice, path: Path) -> None:
    """Write a slice as a Channel 5 text file; voxels outside the grain are of phase 0."""
    found, cell = map_of(grain, cut), lattice(grain.provenance)
    group, unit_cell = (1, _NO_CELL) if cell is None else cell
    laue = 1 if cell is None else cell.laue_group
    step = [grain.volume.voxel_um[axis] for axis in cut.axes[:2]]
    a, b, c, alpha, beta, gamma = (f"{number:g}" for number in unit_cell)
    header = [
        "Channel Text File",
        f"Prj\t{_notes(grain, cut)}",
        f"Author\trecon3d {__version__}",
        "JobMode\tGrid",
        f"XCells\t{found.shape[1]}",
        f"YCells\t{found.shape[0]}",
        f"XStep\t{step[0]:.8g}",
        f"YStep\t{step[1]:.8g}",
        "AcqE1\t0",
        "AcqE2\t0",
        "AcqE3\t0",
        "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t0\tCoverage\t100\tDevice\t0\t"
        "KV\t0\tTiltAngle\t0\tTiltAxis\t0",
        "Phases\t1",
        f"{a};{b};{c}\t{alpha};{beta};{gamma}\tgrain\t{laue}\t{group}",
        "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS",
    ]
    occupancy = np.nan_to_num(cut.image(grain.occupancy).reshape(-1))
    contrast = np.clip(np.round(255 * occupancy), 0, 255)
    phase = found.known.astype(int)
    zero = np.zeros(phase.size)
    columns = [phase, found.x_um - found.x_um[0], found.y_um - found.y_um[0], 8 * phase]
    columns += [3 * (1 - phase), *found.euler_deg.T, zero, contrast, contrast]
    formats = ["%d", "%.6f", "%.6f", "%d", "%d", "%.6f", "%.6f", "%.6f", "%.4f", "%d", "%d"]
    with complete_or_absent(path) as temporary:
        np.savetxt(
            temporary, np.stack(columns, axis=1), formats, "\t", comments="",
            header="\n".join(header), encoding="utf-8",
        )  # fmt: skip


def write_orix(grain: Grain, cut: Slice, path: Path) -> None:
    """Write a slice, as `write_ctf` does, as the HDF5 file of orix, with all maps of the grain."""
    found, cell = map_of(grain, cut), lattice(grain.provenance)
    euler = np.radians(found.euler_deg)
    data: dict[str, Any] = {
        "phi1": euler[:, 0], "Phi": euler[:, 1], "phi2": euler[:, 2],
        # From 0: orix rounds places to whole steps. Their positions are stored beside them.
        "x": found.x_um - found.x_um[0], "y": found.y_um - found.y_um[0],
        "phase_id": np.where(found.known, 0, -1), "id": np.arange(found.known.size),
        "is_in_data": np.ones(found.known.size, bool),
    }  # fmt: skip
    at_um = grain.volume.axis_um(cut.axes[2])[cut.number]
    places = (found.x_um, found.y_um, np.full(found.known.size, at_um))
    data |= {f"{'xyz'[axis]}_um": place for axis, place in zip(cut.axes, places, strict=True)}
    data |= {name: cut.image(values).ravel() for name, values in columns(grain).items()}
    step = [grain.volume.voxel_um[axis] for axis in cut.axes[:2]]
    header: dict[str, Any] = {
        "grid_type": "square", "ny": found.shape[0], "nx": found.shape[1],
        "y_step": step[1], "x_step": step[0], "rotations_per_point": 1, "scan_unit": "um",
    }  # fmt: skip
    with create_own(path, oldest=True) as file:
        file["manufacturer"], file["version"] = _one("orix"), _one("0.12.1")
        file["recon3d_notes"] = _notes(grain, cut)
        for name, values in data.items():
            file[f"crystal_map/data/{name}"] = values
        for name, value in header.items():
            file[f"crystal_map/header/{name}"] = _one(value)
        group, unit_cell = ("None", _NO_CELL) if cell is None else cell
        for number, name, color in ((-1, "not_indexed", "white"), (0, "grain", "tab:blue")):
            phase = file.create_group(f"crystal_map/header/phases/{number}")
            known = number == 0
            phase["name"], phase["color"] = _one(name), _one(color)
            phase["space_group"] = _one(group if known else "None")
            phase["point_group"] = _one("None")
            phase.create_group("structure/atoms")
            phase["structure/lattice/abcABG"] = np.array(unit_cell if known else _NO_CELL)
            phase["structure/lattice/baserot"] = np.eye(3)


def _one(value: Any) -> NDArray[Any]:
    """A value as orix keeps it: an array of one."""
    return np.array([value.encode() if isinstance(value, str) else value])
