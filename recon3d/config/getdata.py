"""The arguments of `recon3d getdata`, the same on the command line and in a settings file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recon3d.config.cleaning import Cleaning
from recon3d.config.declare import Declared, Setting, parse_texts, setting, settings_of, texts_of
from recon3d.errors import ParameterError

Pair = tuple[int, int]
Tilts = tuple[float, float]

SUGGESTED = ("poi", "imgsize", "framebg", "binth")
"""The keys that the data suggest, as one choice, where they are `-` or not given."""
NOT_GIVEN = (*SUGGESTED, "phi0", "chi0", "angsteps", "numangsteps")
"""The keys for which `-` says that nothing is given."""
PATHS = ("datadir", "bgdir", "outputpath", "flat_field", "bad_pixels")
"""The keys whose values are paths; those in a settings file count from its folder."""

_ANGLE: dict[str, Any] = {"unit": "degrees", "bounds": ">= -360, <= 360"}


@dataclass(frozen=True, repr=False)
class GetData(Declared):
    """Where a scan is, what part of it is wanted, how it is cleaned, and where the result goes."""

    datadir: str = setting(help="folder with EDF frames, or a BLISS HDF5 file")
    dataname: str = setting(
        "",
        "what the names of the frames begin with; of an HDF5 file, the name of the detector, - "
        "where there is only one",
    )
    bgdir: str = setting("-", "folder or HDF5 file with background frames, - for none")
    bgname: str = setting(
        "-", "what the names of the background frames begin with, or the detector, - for any"
    )
    poi: Pair | None = setting(
        None,
        "centre of the region of interest, x,y = column,row; - for what the data suggest",
        unit="pixels",
    )
    imgsize: Pair | None = setting(
        None, "size of the region of interest, x,y; - for what the data suggest", unit="pixels"
    )
    outputpath: str = setting(".", "folder in which to make the output folder")
    outputdirname: str = setting("results", "name of the output folder")
    phi0: float | None = setting(
        None,
        "reading of phi from which rolling is counted; - for the middle of its range",
        **_ANGLE,
    )
    chi0: float | None = setting(None, "the same of chi", **_ANGLE)
    angsteps: Tilts | None = setting(
        None,
        "step of the tilts, one number or mu,gamma; - for none (the motors are the truth)",
        **_ANGLE,
        one_for_all=True,
    )
    numangsteps: Pair | None = setting(
        None,
        "number of settings, one number or mu,gamma; - for none (the motors are the truth)",
        bounds=">= 1",
        one_for_all=True,
    )
    motors: str = setting(
        "auto",
        "motor names: a beamline's, with changes such as id06,omega=diffry,base_tilt=diffrz; auto "
        "for the beamline whose motors the files have",
        option="--motors",
        metavar="NAMES",
    )
    entries: str | None = setting(
        None, "entries of an HDF5 file to use, such as 3.1,5-40", option="--entries", metavar="LIST"
    )
    binning: Pair = setting(
        (1, 1),
        "sum N x N pixels, or ROWSxCOLUMNS such as 2x1, to one as frames are read; all other "
        "numbers stay in pixels of the detector and counts of one of them",
        unit="pixels",
        bounds=">= 1",
        one_for_all=True,
        option="--binning",
        metavar="N",
    )
    tilt_azimuth: float = setting(
        0.0,
        "turns (chi, phi)",
        unit="degrees",
        choices=(0, 90),
        option="--tilt-azimuth",
        metavar="DEG",
    )
    recorded_at: str = setting(
        "middle",
        "when in the exposure motors were read; start moves the fast motor of a continuous scan "
        "by half a step",
        choices=("start", "middle"),
        option="--recorded-at",
    )
    skip_damaged: bool = setting(
        False,
        "leave damaged frames out, list them, and go on, rather than stop",
        option="--skip-damaged",
    )
    flat_field: str | None = setting(
        None, "image to divide by", option="--flat-field", metavar="FILE"
    )
    bad_pixels: str | None = setting(
        None, "image that is not 0 where a pixel is bad", option="--bad-pixels", metavar="FILE"
    )
    arrays: str = setting(
        "final",
        "NumPy arrays of frames to write beside scan.h5",
        choices=("final", "all", "none"),
        option="--arrays",
    )
    cleaning: Cleaning = field(default_factory=Cleaning)

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> GetData:
        """Parse the text of every value by its key; `None` leaves the default.

        A ParameterError says where `datadir` is missing, or a value is not what its key expects.
        """
        if texts.get("datadir", "None").lower() == "none":
            raise ParameterError("the key 'datadir' is missing: give the folder or file of frames")
        given = {key: text for key, text in texts.items() if text != "-" or key not in NOT_GIVEN}
        cleaning = Cleaning(**parse_texts(Cleaning, given, POSITIONAL))
        return cls(**parse_texts(cls, given, POSITIONAL), cleaning=cleaning)

    def texts(self) -> dict[str, str]:
        """The text of every value by its key, for the record."""
        return texts_of(self) | texts_of(self.cleaning)


GETDATA_KEYS: dict[str, Setting] = settings_of(GetData) | settings_of(Cleaning)
"""Every key, in the order in which a settings file lists them."""

POSITIONAL = {key: declared for key, declared in GETDATA_KEYS.items() if not declared.option}
"""The arguments of the command line that have a place, in their order."""
