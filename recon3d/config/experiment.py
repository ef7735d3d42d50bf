"""What was measured and how it is to be worked on, in frozen dataclasses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recon3d.config.crystal import Crystal
from recon3d.config.goniometer import GONIOMETERS as GONIOMETERS
from recon3d.config.goniometer import Goniometer as Goniometer
from recon3d.config.ini import read_ini
from recon3d.config.ini_keys import FLIPS, parse_keys
from recon3d.config.reconstruction import Settings as Settings
from recon3d.config.reconstruction import require_one_of, require_sign
from recon3d.config.volume import Volume as Volume
from recon3d.errors import ParameterError

_LARGEST_COUNT = 2**31 - 1
_LARGEST_RADIUS_PIX = 50


@dataclass(frozen=True)
class Cleaning:
    """How frames are cleaned; every step can be switched off.

    Counts and lengths are those of the detector's pixels, whether frames are binned or not.

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
        if self.close_radius_pix > _LARGEST_RADIUS_PIX:
            raise ParameterError(
                f"close_radius_pix is {self.close_radius_pix}: expected {_LARGEST_RADIUS_PIX} at "
                "most, as it closes gaps between the pixels of one grain"
            )
        if self.hot_limit is not None and not self.hot_limit > 0:
            raise ParameterError(f"hot_limit is {self.hot_limit}: expected counts above 0, or None")
        if self.normalize not in ("auto", "current", "total", "none"):
            raise ParameterError(
                f"normalize is '{self.normalize}': expected auto, current, total or none"
            )

    def for_bins(self, rows: int, cols: int) -> Cleaning:
        """The same cleaning of frames of which `rows` x `cols` pixels were summed to one.

        Counts are multiplied by the pixels of a bin and areas divided by them, upwards to a
        whole number; a length is divided by the longer edge of a bin. `framebg` is rounded
        down, so that the rim holds no more than it did.
        """
        if rows * cols == 1:
            return self
        pixels, edge = rows * cols, max(rows, cols)
        return replace(
            self,
            framebg=max(int(self.framebg) // edge, 1) if self.framebg else 0,
            binth=self.binth * pixels,
            min_region_pix=math.ceil(self.min_region_pix / pixels),
            hot_limit=None if self.hot_limit is None else self.hot_limit * pixels,
            close_radius_pix=math.ceil(self.close_radius_pix / edge),
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
        require_sign("omega_sense", self.omega_sense)
        require_one_of("detector_flip", self.flip, FLIPS)
        for name, tilt in (("t_x", self.tilt_x_deg), ("t_z", self.tilt_z_deg)):
            if not abs(tilt) < 80:
                raise ParameterError(
                    f"{name} is {tilt:g}°: expected the deviation of the detector from "
                    "perpendicular to the diffracted beam, below 80° (0 for none)"
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
            return cls._of(parse_keys(source), source, path.parent)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error

    @classmethod
    def from_source(cls, source: dict[str, str], parent: Path = Path()) -> Experiment:
        """Make an experiment of the texts of its keys; a relative `path` counts from `parent`."""
        return cls._of(parse_keys(source), source, parent)

    @classmethod
    def _of(
        cls, values: dict[str, dict[str, Any]], source: dict[str, str], parent: Path
    ) -> Experiment:
        folder = values["experiment"].get("path")
        return cls(
            crystal=Crystal(**values["crystal"]),
            detector=Detector(**values["detector"]),
            volume=Volume(**values["volume"]),
            settings=Settings(**values["settings"]),
            path=parent / folder if folder else None,
            source=source,
        )

    def with_settings(self, **changes: Any) -> Experiment:
        """Return the experiment with some of its `Settings` changed."""
        return replace(self, settings=replace(self.settings, **changes))
