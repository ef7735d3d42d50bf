"""An experiment: what was measured, with which detector, and how to reconstruct it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recon3d.arguments import check_fields, checked
from recon3d.config.crystal import Crystal
from recon3d.config.declare import (
    Declared,
    Setting,
    as_text,
    missing_keys,
    nearest,
    parse_texts,
    record_of,
    setting,
    settings_of,
    warn_of_unknown,
)
from recon3d.config.ini import read_ini
from recon3d.config.reconstruction import Settings
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError

Three = tuple[float, float, float]
_TILT: dict[str, Any] = {"unit": "degrees", "bounds": "> -80, < 80"}
FLIPS = ("none", "rows", "columns", "both")
_NO_OFFSET = "0: such a displacement or rotation is not modelled"


@dataclass(frozen=True, repr=False)
class Detector(Declared):
    """The detector: its scale, its orientation, and where the rotation axis falls on it."""

    magnification_pix_per_um: float = setting(
        help="magnification: pixels for one µm in the sample",
        key="M",
        unit="pixels per µm",
        bounds="> 0",
    )
    omega_sense: int = setting(
        1, "sense of the ω motor in the map from sample to detector", choices=(1, -1)
    )
    flip: str = setting(
        "none", "which axes of the image are reversed", key="detector_flip", choices=FLIPS
    )
    transpose: bool = setting(
        False, "the rotation axis lies along the image's columns", key="detector_transpose"
    )
    tilt_x_deg: float = setting(
        0.0,
        "deviation from perpendicular to the diffracted beam about the detector's horizontal axis; "
        "it stretches the rows",
        key="t_x",
        **_TILT,
    )
    tilt_z_deg: float = setting(
        0.0, "the same about its vertical axis; it stretches the columns", key="t_z", **_TILT
    )
    rotation_center_pix: float | None = setting(
        None,
        "column of the region of interest on which the rotation axis falls",
        key="rotation_center",
        unit="pixels",
    )
    centre_row_pix: float | None = setting(
        None,
        "row of the region of interest on which the sample's origin falls; the middle where it is "
        "not given",
        key="centre_row",
        unit="pixels",
    )


@dataclass(frozen=True, repr=False)
class NotModelled(Declared):
    """Keys of an .ini file that change nothing; what would need a model is refused."""

    mode: str = setting(
        "horizontal", "the same map in both modes", choices=("horizontal", "vertical")
    )
    format: str = setting("edf", "format of the frames, for information")
    detx_size: int | None = setting(None, "columns of the whole detector, for information")
    detz_size: int | None = setting(None, "rows of the whole detector, for information")
    t_y: float = setting(
        0.0, "rotation of the detector about the beam", choices=(0,), expect=_NO_OFFSET
    )
    xyz_up: Three = setting((0, 0, 0), "displacement above ω", choices=(0,), expect=_NO_OFFSET)
    xyz_lo: Three = setting((0, 0, 0), "displacement below ω", choices=(0,), expect=_NO_OFFSET)
    xyz_th: Three = setting(
        (0, 0, 0), "displacement below the base tilt", choices=(0,), expect=_NO_OFFSET
    )


@dataclass(frozen=True)
class Experiment(Declared):
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

    Examples
    --------
    >>> import recon3d as r3
    >>> experiment = r3.Experiment.from_ini("al.ini")
    >>> experiment.volume.shape
    (12, 12, 12)
    >>> experiment.with_settings(iterations=5).settings.iterations
    5
    """

    crystal: Crystal
    detector: Detector
    volume: Volume
    settings: Settings = field(default_factory=Settings)
    path: Path | None = setting(
        None, "the folder that getdata wrote; it counts from the folder of the file"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, *_PARTS)

    @classmethod
    @checked(path="the path of an .ini file", changes="texts by the names of their keys")
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
        texts = read_ini(path) | dict(changes or {})
        unknown = [key for key in texts if key not in (*INI_KEYS, *WITHOUT_EFFECT)]
        warn_of_unknown(unknown, INI_KEYS, path)
        try:
            return cls.from_texts(texts, path.parent)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error

    @classmethod
    @checked()
    def from_texts(cls, texts: Mapping[str, str], parent: Path = Path()) -> Experiment:
        """Make an experiment of the texts of its keys; a relative `path` counts from `parent`.

        Raises as `from_ini` does.
        """
        missing = [key for part in _PARTS.values() for key in missing_keys(part, texts)]
        if missing:
            keys = ", ".join(f"'{key}'" for key in missing)
            what = f"the key {keys} is" if len(missing) == 1 else f"the keys {keys} are"
            raise ParameterError(f"{what} missing")
        parse_texts(NotModelled, texts)
        parts = {name: part(**parse_texts(part, texts)) for name, part in _PARTS.items()}
        folder = parse_texts(cls, texts).get("path")
        return cls(**parts, path=None if folder is None else parent / folder)

    @classmethod
    @checked()
    def from_record(cls, record: Mapping[str, Any]) -> Experiment:
        """Make an experiment of the record of a run, as `record` and `Grain.provenance` have it.

        Keys of others are passed over. Raises a ParameterError where a key is missing or
        impossible.
        """
        texts = {key: as_text(record[key]) for key in INI_KEYS if key in record}
        # A width that was found to be wide open is recorded as infinite, and found so again.
        return cls.from_texts({key: text for key, text in texts.items() if text != "inf"})

    def record(self) -> dict[str, Any]:
        """Every value that is not left to be found from the data, by its key in .ini files."""
        parts = [self.crystal, self.detector, self.volume, self.settings, self]
        return {key: value for part in parts for key, value in record_of(part).items()}

    def with_settings(self, **changes: Any) -> Experiment:
        """Return the experiment with some of its `Settings` changed.

        Raises
        ------
        ParameterError
            There is no such setting, or its value is impossible.
        """
        known = [declared.name for declared in settings_of(Settings).values()]
        for name in changes:
            if name not in known:
                raise ParameterError(f"there is no setting '{name}'{nearest(name, known)}")
        return replace(self, settings=replace(self.settings, **changes))


_PARTS: dict[str, Any] = {
    "crystal": Crystal,
    "detector": Detector,
    "volume": Volume,
    "settings": Settings,
}
INI_KEYS: dict[str, Setting] = {
    key: declared
    for part in (*_PARTS.values(), Experiment, NotModelled)
    for key, declared in settings_of(part).items()
}
"""Every key of an .ini file that is looked at."""

WITHOUT_EFFECT = ("ang_mean", "ang_width", "ang_steps", "ang_types", "ang_min", "ang_max", "stem")
"""Keys of the original Recon3D that describe its own simulations."""
