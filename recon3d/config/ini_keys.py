"""The keys of an experiment's .ini file: where each one goes and what it may be."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from recon3d.config.ini import integer, number, one_of, parse_literal, several, truth, word
from recon3d.errors import ParameterError, warn

METHODS = ("iterative", "backprojection")
FRAMES = ("sample", "lab")
ALGORITHMS = ("mlem", "sirt")
ALIGNMENTS = ("drift", "axis", "none")
FLIPS = ("none", "rows", "columns", "both")

_LONGEST_SHOWN = 60

Parser = Callable[[str], Any]
Rule = tuple[str, str, Parser]
"""The dataclass that a key belongs to, the field's name, and the parser of its text."""


def _no_offset(text: str) -> None:
    """Refuse what the geometry does not model: other than zero, or None."""
    if any(several(number)(text)):
        raise ValueError("0: such a displacement or rotation is not modelled")


def _handedness(text: str) -> int:
    return 0 if word(text) == "auto" else integer(text)


def _steps(text: str) -> tuple[int, ...]:
    """Numbers of voxels; one number serves for all three axes."""
    steps = several(integer)(text)
    return several(integer, 3)(text) if len(steps) != 1 else steps * 3


_REQUIRED: dict[str, Rule] = {
    "unit_cell": ("crystal", "unit_cell", several(number, 6)),
    "hkl": ("crystal", "hkl", several(integer, 3)),
    "wavelength": ("crystal", "wavelength_angstrom", number),
    "grain_pos": ("volume", "position_um", several(number, 3)),
    "grain_dim": ("volume", "size_um", several(number, 3)),
    "grain_steps": ("volume", "shape", _steps),
    "M": ("detector", "magnification_pix_per_um", number),
}
_OPTIONAL: dict[str, Rule] = {
    "sg_no": ("crystal", "space_group", integer),
    "t_x": ("detector", "tilt_x_deg", number),
    "t_z": ("detector", "tilt_z_deg", number),
    "omega_sense": ("detector", "omega_sense", integer),
    "detector_flip": ("detector", "flip", one_of(*FLIPS)),
    "detector_transpose": ("detector", "transpose", truth),
    "rotation_center": ("detector", "rotation_center_pix", number),
    "centre_row": ("detector", "centre_row_pix", number),
    "path": ("experiment", "path", word),
    "method": ("settings", "method", one_of(*METHODS)),
    "frame": ("settings", "frame", one_of(*FRAMES)),
    "iterations": ("settings", "iterations", integer),
    "handedness": ("settings", "handedness", _handedness),
    "turning_center": ("settings", "turning_center_deg", several(number, 2)),
    "rocking_width": ("settings", "rocking_width_deg", number),
    "rolling_width": ("settings", "rolling_width_deg", number),
    "two_theta_width": ("settings", "two_theta_width_deg", number),
    "tilt_azimuth": ("settings", "tilt_azimuth_deg", number),
    "base_tilt_sense": ("settings", "base_tilt_sense", integer),
    "completeness_cutoff": ("settings", "completeness_cutoff", number),
    "bin_size": ("settings", "bin_deg", number),
    "stop_change": ("settings", "stop_change", number),
    "algorithm": ("settings", "algorithm", one_of(*ALGORITHMS)),
    "tv_weight": ("settings", "tv_weight", number),
    "align": ("settings", "align", one_of(*ALIGNMENTS)),
    "split_half": ("settings", "split_half", truth),
    "checkpoint_seconds": ("settings", "checkpoint_seconds", number),
    "omega_exclude": ("settings", "omega_exclude", several(number)),
}
_CHECKED: dict[str, Parser] = {
    "mode": one_of("horizontal", "vertical"),
    "t_y": _no_offset,
    "xyz_up": _no_offset,
    "xyz_lo": _no_offset,
    "xyz_th": _no_offset,
    "format": word,
    "detx_size": integer,
    "detz_size": integer,
}
_NONE_IS_A_WORD = ("align", "detector_flip")
"""Keys of which `none` is a value; elsewhere it says that nothing is given."""
KNOWN_KEYS = (*_REQUIRED, *_OPTIONAL, *_CHECKED)
"""Every key that an .ini file may have."""


def known_keys() -> tuple[str, ...]:
    """Every key that says something of an experiment."""
    return (*_REQUIRED, *_OPTIONAL)


def parse_keys(source: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Parse the texts of an .ini file's keys.

    Parameters
    ----------
    source
        The text of every value by its key.

    Returns
    -------
    values
        For each of the experiment's parts, its fields by their names. Optional keys that
        are absent, or `None`, are left out.

    Raises
    ------
    ParameterError
        A required key is missing, or a value is not what its key expects.

    Warns
    -----
    Recon3DWarning
        A key is not known.
    """
    missing = [key for key in _REQUIRED if key not in source]
    if missing:
        keys = ", ".join(f"'{key}'" for key in missing)
        what = f"the key {keys} is" if len(missing) == 1 else f"the keys {keys} are"
        raise ParameterError(f"{what} missing")
    values: dict[str, dict[str, Any]] = {
        part: {} for part in ("crystal", "detector", "volume", "settings", "experiment")
    }
    for key, text in source.items():
        if key in _REQUIRED or (key in _OPTIONAL and _is_given(key, text)):
            part, name, parse = (_REQUIRED | _OPTIONAL)[key]
            values[part][name] = _parsed(key, text, parse)
        elif key in _CHECKED:
            _parsed(key, text, _CHECKED[key])
        elif key not in _OPTIONAL:
            _warn_unknown(key)
    return values


def _is_given(key: str, text: str) -> bool:
    return parse_literal(text) is not None or (text == "none" and key in _NONE_IS_A_WORD)


def _parsed(key: str, text: str, parse: Parser) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
        raise ParameterError(f"{key} is '{shown}': expected {error}") from error


def _warn_unknown(key: str) -> None:
    near = difflib.get_close_matches(key, KNOWN_KEYS, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    message = f"the key '{key}' is not known and is ignored{hint}"
    warn(message)
