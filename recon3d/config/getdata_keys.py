"""What `recon3d getdata` is told: its keys, the same on the command line and in a settings file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from recon3d.config.experiment import Cleaning
from recon3d.config.ini import integer, one_of, parse_literal, several, truth, word
from recon3d.errors import ParameterError

Pair = tuple[int, int]

POSITIONAL = {
    "datadir": "folder with EDF frames, or a BLISS HDF5 file",
    "dataname": "what the names of the frames begin with; of an HDF5 file, the name of the "
    "detector, - where there is only one",
    "bgdir": "folder or HDF5 file with background frames, - for none",
    "bgname": "what the names of the background frames begin with, or the detector, - for any",
    "poi": "centre of the region of interest, x,y = column,row in pixels",
    "imgsize": "size of the region of interest, x,y in pixels",
    "outputpath": "folder in which to make the output folder",
    "outputdirname": "name of the output folder",
    "phi0": "reading of phi in degrees from which rolling is counted",
    "chi0": "reading of chi in degrees from which rolling is counted",
    "angsteps": "step of the tilts in degrees, one number or mu,gamma (the motors are the truth)",
    "numangsteps": "number of settings, one number or mu,gamma (the motors are the truth)",
    "framebg": "width in pixels of the rim without signal, 0 for a grain that fills the frame",
    "binth": "counts above which a pixel is signal",
}
"""The arguments of the command line that have a place, in their order, and what they are."""

_LARGEST_ANGLE_DEG = 360
_NONE_IS_A_WORD = ("normalize", "arrays")

PATHS = ("datadir", "bgdir", "outputpath", "flat_field", "bad_pixels")
"""The keys whose values are paths; those in a settings file count from its folder."""


@dataclass(frozen=True)
class GetData:
    """Where a scan is, what part of it is wanted, how it is cleaned, and where the result goes.

    Parameters
    ----------
    datadir, dataname
        Folder and prefix of EDF frames, or a BLISS file and the name of the detector.
    bgdir, bgname
        The same of background frames; "-" for none, and for any name.
    poi, imgsize
        Centre and size, (x, y) = (column, row), of the region of interest; None for the middle
        of the frame, and for the whole of it.
    binning
        Rows and columns of pixels that are summed to one as frames are read. All other numbers
        stay those of the detector's pixels.
    outputpath, outputdirname
        The results go to the folder `outputpath`/`outputdirname`.
    phi0, chi0
        Readings of phi and chi from which tilts are counted; None for the middle of their
        ranges.
    angsteps, numangsteps
        Step in degrees and number of the settings of (μ, γ); None where only the motors tell.
    framebg, binth, min_region, dark, hot_pixels, hot_limit, normalize, close_radius, fill_holes
        As in `Cleaning`.
    flat_field, bad_pixels
        Files with an image each.
    motors
        "auto", or the name of a beamline with changes, such as "id06,omega=diffry".
    entries
        Entries of an HDF5 file to use; None for all.
    tilt_azimuth, recorded_at, skip_damaged
        As `tilt_azimuth_deg` and so on in `recon3d.open_scan`.
    arrays
        NumPy arrays of frames to write: "final", "all" or "none".
    """

    datadir: str
    dataname: str = ""
    bgdir: str = "-"
    bgname: str = "-"
    poi: Pair | None = None
    imgsize: Pair | None = None
    binning: Pair = (1, 1)
    outputpath: str = "."
    outputdirname: str = "results"
    phi0: float | None = None
    chi0: float | None = None
    angsteps: tuple[float, float] | None = None
    numangsteps: tuple[float, float] | None = None
    framebg: int = Cleaning.framebg
    binth: float = Cleaning.binth
    min_region: int = Cleaning.min_region_pix
    dark: bool = Cleaning.dark
    hot_pixels: float = Cleaning.hot_pixels
    hot_limit: float | None = Cleaning.hot_limit
    normalize: str = Cleaning.normalize
    close_radius: int = Cleaning.close_radius_pix
    fill_holes: bool = Cleaning.fill_holes
    flat_field: str | None = None
    bad_pixels: str | None = None
    motors: str = "auto"
    entries: str | None = None
    tilt_azimuth: float = 0.0
    recorded_at: str = "middle"
    skip_damaged: bool = False
    arrays: str = "final"

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> GetData:
        """Parse the text of every value by its key; `None` leaves the default.

        Raises
        ------
        ParameterError
            `datadir` is missing, or a value is not what its key expects.
        """
        if "datadir" not in texts or parse_literal(texts["datadir"]) is None:
            raise ParameterError("the key 'datadir' is missing: give the folder or file of frames")
        given = {
            key: text
            for key, text in texts.items()
            if key in _NONE_IS_A_WORD or parse_literal(text) is not None
        }
        return cls(**{key: _parsed(key, text) for key, text in given.items()})

    @property
    def cleaning(self) -> Cleaning:
        """How frames are cleaned."""
        return Cleaning(
            **{field: getattr(self, key) for field, key in CLEANING_KEYS.items()},
        )


CLEANING_KEYS = {
    "framebg": "framebg",
    "binth": "binth",
    "min_region_pix": "min_region",
    "dark": "dark",
    "hot_pixels": "hot_pixels",
    "hot_limit": "hot_limit",
    "normalize": "normalize",
    "close_radius_pix": "close_radius",
    "fill_holes": "fill_holes",
}
"""The key of every field of `Cleaning`."""


def cleaning_texts(cleaning: Cleaning) -> dict[str, str]:
    """The text of every cleaning parameter by its key."""
    return {key: as_text(getattr(cleaning, field)) for field, key in CLEANING_KEYS.items()}


def as_text(value: Any) -> str:
    """Write a value so that parsing gives it back exactly.

    Parameters
    ----------
    value
        A number, a word, a truth value, None, or a tuple of numbers.

    Raises
    ------
    ParameterError
        A word that a settings file cannot hold.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(as_text(item) for item in value)
    if isinstance(value, (int, float)) or hasattr(value, "item"):
        return repr(value.item() if hasattr(value, "item") else value)
    text = str(value)
    if "\n" in text or " #" in text or text.startswith("#"):
        raise ParameterError(f"'{text}' cannot stand in a settings file: it has '#' or a line end")
    return text or "''"


def _pair(text: str) -> Pair:
    parts = text.strip("[]() ").split(",")
    if len(parts) != 2:
        raise ValueError("x,y = column,row in pixels")
    return integer(parts[0]), integer(parts[1])


def _bins(text: str) -> Pair:
    try:
        numbers = [integer(part) for part in text.strip("[]() ").replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2 or min(numbers) < 1:
        raise ValueError("whole pixels of 1 or more, one number or ROWSxCOLUMNS such as 2x1")
    return numbers[0], numbers[-1]


def _one_or_two(parse: Callable[[str], float]) -> Callable[[str], tuple[float, float]]:
    """Make a parser of one value, or two as mu,gamma, out of a parser of one."""

    def parse_both(text: str) -> tuple[float, float]:
        values = several(parse)(text)
        if not 1 <= len(values) <= 2:
            raise ValueError("one number, or two as mu,gamma")
        return values[0], values[-1]

    return parse_both


def _settings(text: str) -> float:
    value = _finite(text)
    if not (value >= 1 and value.is_integer()):
        raise ValueError("a whole number of settings, 1 or more")
    return value


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("a number") from None
    if not math.isfinite(value):
        raise ValueError("a finite number")
    return value


def _angle(text: str) -> float:
    value = _finite(text)
    if abs(value) > _LARGEST_ANGLE_DEG:
        raise ValueError(f"degrees, {_LARGEST_ANGLE_DEG} at most")
    return value


_PARSERS: dict[str, Callable[[str], Any]] = {
    "poi": _pair,
    "imgsize": _pair,
    "binning": _bins,
    "phi0": _angle,
    "chi0": _angle,
    "angsteps": _one_or_two(_angle),
    "numangsteps": _one_or_two(_settings),
    "framebg": integer,
    "binth": _finite,
    "min_region": integer,
    "dark": truth,
    "hot_pixels": _finite,
    "hot_limit": _finite,
    "normalize": one_of("auto", "current", "total", "none"),
    "close_radius": integer,
    "fill_holes": truth,
    "tilt_azimuth": _finite,
    "recorded_at": one_of("start", "middle"),
    "skip_damaged": truth,
    "arrays": one_of("final", "all", "none"),
}
GETDATA_KEYS = tuple(field.name for field in fields(GetData))
"""Every key, in the order in which a settings file lists them."""


def _parsed(key: str, text: str) -> Any:
    try:
        return _PARSERS.get(key, word)(text)
    except ValueError as error:
        name = key.upper() if key in POSITIONAL else key
        raise ParameterError(f"{name} is '{text}': expected {error}") from error
