"""The reconstructed grain, and its file grain.h5."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d import __version__
from recon3d.arguments import check_fields, checked, wrong
from recon3d.config.declare import record_of, settings_of
from recon3d.config.volume import Volume
from recon3d.errors import DataError, ParameterError
from recon3d.files.hdf5 import (
    add_numbers,
    create_own,
    open_own,
    read_attributes,
    require_replaceable,
    storable,
    write_attributes,
)
from recon3d.files.nexus import show_grain
from recon3d.files.rotations import rotation_matrices
from recon3d.runtime.atomic import complete_or_absent

if TYPE_CHECKING:
    import xarray

FORMAT = "recon3d-grain"
FORMAT_VERSION = 1
SPARE_BYTES = 1 << 20
"""Room on the disk for all that is no array over the volume."""

_ARRAYS = {
    "occupancy": ("1", "share of a voxel that scatters, 1 for a typical inner voxel"),
    "mask": ("", "voxels that belong to the grain"),
    "orientation": ("degree", "tilt (a, b) fixed in the sample, NaN outside the mask"),
    "orientation_spread": ("degree", "root of the summed second moments in a and b"),
    "completeness": ("1", "share of the projections in which the voxel's own frame is lit"),
    "strain": ("1", "relative change of the lattice spacing along G"),
    "orientation_error": ("degree", "standard error of a and b"),
    "strain_error": ("1", "standard error of the strain"),
    "quality": ("1", "share of a voxel's frames that were seen, and not suspected"),
    "second_share": ("1", "share of a voxel's intensity that has a second orientation"),
}
_IN_EVERY_GRAIN = ("occupancy", "mask", "orientation", "orientation_spread", "completeness")


@dataclass(frozen=True, eq=False)
class Grain:
    """A grain in 3D: its shape, the orientation of every voxel and, where scanned, strain.

    Parameters
    ----------
    volume
        The box of voxels, in sample axes.
    occupancy
        Shape (nx, ny, nz): how much of each voxel scatters, 1 for a typical inner voxel.
    mask
        Shape (nx, ny, nz), bool: the voxels that belong to the grain.
    orientation
        Shape (nx, ny, nz, 2), degrees: the tilt (a, b), NaN outside the mask.
    orientation_spread
        Shape (nx, ny, nz), degrees: the root of the summed second moments in a and b.
    completeness
        Shape (nx, ny, nz): share of the projections in which the voxel's frame is lit.
    strain
        Shape (nx, ny, nz), along **G**; None where it was not scanned.
    orientation_error, strain_error
        One standard deviation of a and b, (nx, ny, nz, 2), degrees, and of the strain; None
        where they are not known.
    quality
        Shape (nx, ny, nz): share of a voxel's frames that were seen and not suspected; or None.
    second_share
        Shape (nx, ny, nz): share of a voxel's intensity at a second orientation; or None.
    residual
        Shape (iterations,): what the model left unexplained after each iteration.
    projections
        What is known of each projection that was used, by its name: omega (degrees), residual,
        drift (row and column, pixels) and so on, each of shape (projections, ...).
    curves
        Curves that tell how far the grain can be trusted, by their names.
    images
        What is known of each pixel of the detector, by its name, each of shape (rows, cols).
    provenance
        Every parameter of the run by its name.
    doubts
        Sentences that say why the grain may be wrong; none where all is well.

    Raises
    ------
    ParameterError
        An array is not of the volume's shape.

    Examples
    --------
    >>> import recon3d as r3
    >>> grain = r3.Grain.load("grain.h5")
    >>> grain.orientation.shape
    (12, 12, 12, 2)
    >>> grain.doubts
    ()
    """

    volume: Volume
    occupancy: NDArray[np.float32]
    mask: NDArray[np.bool_]
    orientation: NDArray[np.float32]
    orientation_spread: NDArray[np.float32]
    completeness: NDArray[np.float32]
    strain: NDArray[np.float32] | None = None
    orientation_error: NDArray[np.float32] | None = None
    strain_error: NDArray[np.float32] | None = None
    quality: NDArray[np.float32] | None = None
    second_share: NDArray[np.float32] | None = None
    residual: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    projections: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    curves: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    images: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, "volume", "projections", "curves", "images", "provenance", "doubts")
        for name, array in self.arrays().items():
            kinds, what = ("b", "truth values") if name == "mask" else ("fiu", "numbers")
            if getattr(getattr(array, "dtype", None), "kind", "none") not in kinds:
                raise wrong(f"the grain's {name}", array, f"an array of {what}")
            shape = self.volume.shape + (2,) * (name in ("orientation", "orientation_error"))
            if array.shape != shape:
                raise ParameterError(
                    f"the grain's {name} has shape {array.shape}, the volume asks for {shape}"
                )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays over the volume by their names, those that are known."""
        named = {name: getattr(self, name) for name in _ARRAYS}
        return {name: array for name, array in named.items() if array is not None}

    @property
    def volume_um3(self) -> float:
        """Volume of the voxels in the mask, in cubic µm."""
        return float(np.count_nonzero(self.mask) * np.prod(self.volume.voxel_um))

    @property
    def a_deg(self) -> NDArray[np.float32]:
        """Tilt a of every voxel, (nx, ny, nz): the μ at which it diffracts at ω = 0."""
        return self.orientation[..., 0]

    @property
    def b_deg(self) -> NDArray[np.float32]:
        """Tilt b of every voxel, (nx, ny, nz): the γ at which it diffracts at ω = 0."""
        return self.orientation[..., 1]

    @property
    def oriented(self) -> NDArray[np.bool_]:
        """Voxels of the mask whose orientation is known, (nx, ny, nz)."""
        return self.mask & np.isfinite(self.orientation).all(axis=-1)

    @property
    def mean_tilt_deg(self) -> NDArray[np.float64]:
        """Mean (a, b) of the voxels of known orientation; 0 where there are none."""
        tilts = self.orientation[self.oriented].astype(float)
        return tilts.mean(axis=0) if len(tilts) else np.zeros(2)

    @checked()
    def rotations(self, library: Literal["scipy", "orix"] = "scipy") -> Any:
        """Rotations of the voxels in `oriented`, in C order.

        They hold the mean orientation, where the .ini gave `orientation_matrix` or
        `euler_bunge`; else they are relative to the mean. The turn about **G** is not seen, and
        is zero.

        Parameters
        ----------
        library
            "scipy" for a `scipy.spatial.transform.Rotation` that turns crystal axes into sample
            axes; "orix" for an `orix.quaternion.Rotation`, from sample to crystal as orix has it.

        Raises
        ------
        ParameterError
            There is no such library, it is not installed, or the given mean is no rotation.
        """
        tilts = self.orientation[self.oriented].astype(float)
        matrices = rotation_matrices(tilts, self.mean_tilt_deg, self.provenance)
        if library == "scipy":
            from scipy.spatial.transform import Rotation

            return Rotation.from_matrix(matrices)
        try:
            from orix.quaternion import Rotation as OrixRotation
        except ImportError as error:
            raise ParameterError("orix is not installed: pip install 'recon3d[export]'") from error
        return OrixRotation.from_matrix(np.swapaxes(matrices, 1, 2))

    def to_xarray(self) -> xarray.Dataset:
        """The grain as an xarray Dataset: axes in µm, units, and its parameters as attributes.

        Raises
        ------
        ParameterError
            xarray is not installed.
        """
        try:
            import xarray
        except ImportError as error:
            raise ParameterError(
                "xarray is not installed: pip install 'recon3d[export]'"
            ) from error
        dims = ("x", "y", "z", "tilt")
        axes: dict[str, Any] = {
            name: (name, self.volume.axis_um(i), {"units": "um"}) for i, name in enumerate("xyz")
        }
        variables = {
            name: (dims[: values.ndim], values, {"units": _ARRAYS[name][0]})
            for name, values in self.arrays().items()
        }
        told = {name: storable(name, value)[0] for name, value in self.provenance.items()}
        return xarray.Dataset(variables, axes | {"tilt": ["a", "b"]}, told)

    @checked()
    def save(self, path: str | Path) -> None:
        """Write the grain to an HDF5 file, usually grain.h5, which appears when it is complete."""
        room_bytes = sum(array.nbytes for array in self.arrays().values()) + 4 * self.mask.size
        require_replaceable(path)
        with create_own(path, room_bytes + SPARE_BYTES) as file:
            file.attrs.create("doubts", list(self.doubts), (len(self.doubts),), h5py.string_dtype())
            write_attributes(file, self.provenance)
            file.attrs["_format"] = FORMAT
            file.attrs["_format_version"] = FORMAT_VERSION
            file.attrs["_written_by"] = f"recon3d {__version__}"
            group = file.create_group("grain")
            write_attributes(group, self.provenance)
            group.attrs.update(record_of(self.volume))
            for axis, name in enumerate("xyz"):
                add_numbers(group, name, self.volume.axis_um(axis)).attrs["units"] = "um"
            for name, array in self.arrays().items():
                data = array.astype(np.bool_ if name == "mask" else np.float32)
                stored = group.create_dataset(name, data=data, compression="gzip", shuffle=True)
                stored.attrs["units"], stored.attrs["description"] = _ARRAYS[name]
            add_numbers(group, "residual", np.asarray(self.residual, np.float64))
            for room in ("projections", "curves", "images"):
                for name, column in getattr(self, room).items():
                    add_numbers(file, f"{room}/{name}", np.asarray(column, np.float64))
            show_grain(file, self.provenance)

    @classmethod
    @checked(path="the path of a grain.h5")
    def load(cls, path: str | Path, *, read: Callable[[h5py.Dataset], Any] | None = None) -> Grain:
        """Read a grain that `save` wrote.

        Parameters
        ----------
        path
            The file.
        read
            How to read an array; into memory where None.

        Raises
        ------
        DataError
            The file cannot be opened, is no grain, is of a newer version than this
            program knows, or lacks an array.
        """
        path = Path(path)
        take = read or _whole
        with open_own(path, FORMAT, FORMAT_VERSION, "grain file") as file:
            group = _part(file, "grain", path)
            names = [name for name in _ARRAYS if name in _IN_EVERY_GRAIN or name in group]
            arrays = {name: take(_part(group, name, path)) for name in (*names, "residual")}
            parameters = read_attributes(file)
            doubts = parameters.pop("doubts", ())
            return cls(
                Volume(*(group.attrs[key].tolist() for key in settings_of(Volume))),
                **arrays,
                projections=_columns(file, "projections"),
                curves=_columns(file, "curves"),
                images=_columns(file, "images"),
                provenance=parameters,
                doubts=tuple(map(str, doubts)),
            )

    @checked()
    def save_arrays(self, folder: str | Path) -> Path:
        """Write grain_ang.npy, (nx, ny, nz, 3) float32: a and b in degrees, completeness."""
        path = Path(folder) / "grain_ang.npy"
        columns = np.concatenate([self.orientation, self.completeness[..., None]], axis=-1)
        with complete_or_absent(path) as temporary:
            np.save(temporary, columns.astype(np.float32))
        return path

    def facts(self) -> dict[str, str]:
        """The grain in a few lines: its size, spread and method, by their names."""
        spread = self.orientation_spread[self.mask]
        known = spread[np.isfinite(spread)]
        size = " x ".join(f"{edge:g}" for edge in self.volume.size_um)
        return {
            "voxels": " x ".join(str(n) for n in self.volume.shape),
            "box": f"{size} µm",
            "in the mask": f"{np.count_nonzero(self.mask)} voxels, {self.volume_um3:.4g} µm³",
            "median spread": f"{1000 * np.median(known):.3g} mdeg" if known.size else "unknown",
            "strain": "not scanned" if self.strain is None else "scanned",
            "method": str(self.provenance.get("method", "not recorded")),
        }

    def __repr__(self) -> str:
        return f"<Grain: {', '.join(f'{name} {text}' for name, text in self.facts().items())}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self.facts().items()
        )
        doubts = "".join(
            f"<p style='color:#c00;margin:2px'>{html.escape(text)}</p>" for text in self.doubts
        )
        return f"<table><caption>Grain</caption>{rows}</table>{doubts}"


def _part(group: h5py.Group, name: str, path: Path) -> Any:
    if name not in group:
        raise DataError(f"{path}: lacks {group.name.rstrip('/')}/{name}, which every grain has")
    return group[name]


def _whole(stored: h5py.Dataset) -> NDArray[Any]:
    name = str(stored.name).rpartition("/")[-1]
    dtype = {"mask": np.dtype(np.bool_), "residual": np.dtype(np.float64)}.get(name)
    return np.asarray(stored[()], dtype or np.float32)


def _columns(file: h5py.File, name: str) -> dict[str, NDArray[np.float64]]:
    return {column: values[()] for column, values in file.get(name, {}).items()}
