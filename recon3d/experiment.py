"""What was measured and how it is to be worked on, in frozen dataclasses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recon3d.crystal import Crystal
from recon3d.errors import ParameterError
from recon3d.goniometer import GONIOMETERS as GONIOMETERS
from recon3d.goniometer import Goniometer as Goniometer
from recon3d.ini import read_ini
from recon3d.ini_keys import ALGORITHMS, ALIGNMENTS, FLIPS, FRAMES, METHODS, parse_keys
from recon3d.volume import Volume as Volume

_SMALLEST_ANGLE_DEG = 1e-6
_LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True)
class Cleaning:
    """How frames are cleaned; every step can be switched off.

    Parameters
    ----------
    framebg
        Width in pixels of the cornice, the rim of a frame that holds no signal; 0 for a
        grain that fills the detector (no frame background is then subtracted).
    binth
        Counts above which a pixel is signal.
    min_region_pix
        Smallest lit region that is kept, in pixels.
    dark
        Subtract the mean of the two weakest frames of each projection.
    hot_pixels
        A pixel is hot where it exceeds its neighbours' median by this many standard
        deviations of the counting noise, and stands alone; 0 for none.
    hot_limit
        Counts above the dark frame from which on a pixel is hot in any case; None for no
        limit.
    normalize
        "current" divides by the ring current, "total" brings every projection to the same
        total, "auto" takes the current where it is recorded, "none" leaves the counts.
    close_radius_pix
        Radius of the disk that closes the mask; 0 for none.
    fill_holes
        Fill the holes of the mask.
    """

    framebg: int = 20
    binth: float = 12.0
    min_region_pix: int = 100
    dark: bool = True
    hot_pixels: float = 8.0
    hot_limit: float | None = None
    normalize: str = "auto"
    close_radius_pix: int = 1
    fill_holes: bool = True

    def __post_init__(self) -> None:
        for name in ("framebg", "binth", "min_region_pix", "hot_pixels", "close_radius_pix"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} is {value}: expected a number of 0 or more")
            if name not in ("binth", "hot_pixels") and value != int(value):
                raise ParameterError(f"{name} is {value}: expected a whole number of pixels")
            if name not in ("binth", "hot_pixels") and value > _LARGEST_COUNT:
                raise ParameterError(f"{name} is {value}: no frame has as many pixels")
        if self.hot_limit is not None and not self.hot_limit > 0:
            raise ParameterError(f"hot_limit is {self.hot_limit}: expected counts above 0, or None")
        if self.normalize not in ("auto", "current", "total", "none"):
            raise ParameterError(
                f"normalize is '{self.normalize}': expected auto, current, total or none"
            )


@dataclass(frozen=True)
class Detector:
    """The detector: its scale, its senses, and where the rotation axis falls on it.

    Parameters
    ----------
    magnification_pix_per_um
        Pixels for one µm in the sample.
    omega_sense
        +1 or -1: the sense of the ω motor in the map from sample to detector.
    flip
        "none", "rows", "columns" or "both": which axes of the image are reversed.
    transpose
        True where the rotation axis lies along the image's columns.
    tilt_x_deg, tilt_z_deg
        Deviations from perpendicular to the diffracted beam about the detector's
        horizontal and vertical axis; they stretch the rows and the columns.
    rotation_center_pix
        Column of the ROI on which the rotation axis falls; None to find it from the data.
    centre_row_pix
        Row of the ROI on which the sample's origin falls; None for the middle.
    """

    magnification_pix_per_um: float
    omega_sense: int = 1
    flip: str = "none"
    transpose: bool = False
    tilt_x_deg: float = 0.0
    tilt_z_deg: float = 0.0
    rotation_center_pix: float | None = None
    centre_row_pix: float | None = None

    def __post_init__(self) -> None:
        if not self.magnification_pix_per_um > 0:
            raise ParameterError(
                f"M is {self.magnification_pix_per_um:g}: expected the magnification as a "
                "positive number of pixels per µm"
            )
        _require_sign("omega_sense", self.omega_sense)
        _require_one_of("detector_flip", self.flip, FLIPS)
        for name, tilt in (("t_x", self.tilt_x_deg), ("t_z", self.tilt_z_deg)):
            if not abs(tilt) < 80:
                raise ParameterError(
                    f"{name} is {tilt:g}°: expected the deviation of the detector from "
                    "perpendicular to the diffracted beam, below 80° (0 for none)"
                )


@dataclass(frozen=True)
class Settings:
    """How the grain is reconstructed; None stands for "find it from the data".

    Parameters
    ----------
    method
        "iterative" inverts the operator; "backprojection" sums, and is quick.
    frame
        "sample" turns the tilts with ω; "lab" sums at fixed (μ, γ), for comparison.
    iterations
        Passes of the iterative method, at most.
    stop_change
        Relative change of the residual from one pass to the next below which it stops.
    algorithm
        "mlem" (for counts) or "sirt" (least squares).
    tv_weight
        How strongly total variation smooths the occupancy after each pass; 0 for none.
    handedness
        +1, -1, or 0 for automatic.
    turning_center_deg
        (μ_c, γ_c): the setting at which **G** lies exactly along the rotation axis.
    rocking_width_deg, rolling_width_deg, two_theta_width_deg
        Standard deviations of the instrument's acceptance.
    tilt_azimuth_deg
        0 or 90: turns (χ, φ), for scan macros that swap the two.
    base_tilt_sense
        +1 or -1: sense of the base tilt motor against θ.
    completeness_cutoff
        Completeness from which a voxel belongs to the grain (backprojection).
    bin_deg
        Distance of the orientation bins; None for half a step of the scan.
    omega_exclude
        Rotation angles, in degrees, of projections to leave out.
    align
        "drift" refines the rotation axis and finds how the sample drifted, by reprojection;
        "axis" the axis alone; "none" takes both as they are.
    split_half
        Reconstruct from either half of the projections too, to say how far it can be trusted.
    checkpoint_seconds
        How often the state is saved, so that `--resume` can go on from it; 0 for never.
    """

    method: str = "iterative"
    frame: str = "sample"
    iterations: int = 10
    stop_change: float = 0.01
    algorithm: str = "mlem"
    tv_weight: float = 0.0
    handedness: int = 0
    turning_center_deg: tuple[float, float] | None = None
    rocking_width_deg: float | None = None
    rolling_width_deg: float | None = None
    two_theta_width_deg: float | None = None
    tilt_azimuth_deg: float | None = None
    base_tilt_sense: int | None = None
    completeness_cutoff: float = 0.5
    bin_deg: float | None = None
    omega_exclude: tuple[float, ...] = ()
    align: str = "drift"
    split_half: bool = True
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        _require_one_of("method", self.method, METHODS)
        _require_one_of("frame", self.frame, FRAMES)
        _require_one_of("align", self.align, ALIGNMENTS)
        _require_one_of("algorithm", self.algorithm, ALGORITHMS)
        for name in ("stop_change", "tv_weight", "checkpoint_seconds"):
            if not getattr(self, name) >= 0:
                raise ParameterError(f"{name} is {getattr(self, name):g}: expected 0 or more")
        _require_one_of("tilt_azimuth", self.tilt_azimuth_deg, (None, 0, 90))
        if self.handedness:
            _require_sign("handedness", self.handedness)
        if self.base_tilt_sense is not None:
            _require_sign("base_tilt_sense", self.base_tilt_sense)
        if self.iterations < 1:
            raise ParameterError(f"iterations is {self.iterations}: expected 1 or more")
        if not 0 <= self.completeness_cutoff <= 1:
            raise ParameterError(
                f"completeness_cutoff is {self.completeness_cutoff:g}: expected a share, 0 to 1"
            )
        for key, angle in (
            ("rocking_width", self.rocking_width_deg),
            ("rolling_width", self.rolling_width_deg),
            ("two_theta_width", self.two_theta_width_deg),
            ("bin_size", self.bin_deg),
        ):
            if angle is not None and not angle >= _SMALLEST_ANGLE_DEG:
                raise ParameterError(
                    f"{key} is {angle:g}: expected a positive angle in degrees, not below "
                    f"{_SMALLEST_ANGLE_DEG:g}"
                )


@dataclass(frozen=True)
class Experiment:
    """Everything that an .ini file says of an experiment.

    Parameters
    ----------
    crystal
        The unit cell, the reflection and the wavelength.
    detector
        Scale, senses and centres of the image.
    volume
        The voxels to reconstruct.
    settings
        How to reconstruct them.
    path
        The folder with the cleaned scan; results go there too.
    source
        Every key of the .ini file with its text, for the record.
    """

    crystal: Crystal
    detector: Detector
    volume: Volume
    settings: Settings = field(default_factory=Settings)
    path: Path | None = None
    source: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_ini(cls, path: str | Path, changes: Mapping[str, str] | None = None) -> Experiment:
        """Read an experiment from a file of `key value` lines.

        Parameters
        ----------
        path
            The .ini file. A relative `path` in it counts from the folder of the file.
        changes
            The text of values, by their keys, that overrule those of the file.

        Raises
        ------
        ParameterError
            A key is missing, or its value is of the wrong type or impossible.

        Warns
        -----
        Recon3DWarning
            A key is not known; the nearest known one is named.
        """
        path = Path(path)
        source = read_ini(path) | dict(changes or {})
        try:
            values = parse_keys(source)
            folder = values["experiment"].get("path")
            return cls(
                crystal=Crystal(**values["crystal"]),
                detector=Detector(**values["detector"]),
                volume=Volume(**values["volume"]),
                settings=Settings(**values["settings"]),
                path=path.parent / folder if folder else None,
                source=source,
            )
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error

    def with_settings(self, **changes: Any) -> Experiment:
        """Return the experiment with some of its `Settings` changed."""
        return replace(self, settings=replace(self.settings, **changes))


def _require_one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        known = ", ".join(str(choice) for choice in choices if choice is not None)
        raise ParameterError(f"{name} is {value}: expected one of {known}")


def _require_sign(name: str, value: int) -> None:
    if value not in (1, -1):
        raise ParameterError(f"{name} is {value}: expected +1 or -1")
