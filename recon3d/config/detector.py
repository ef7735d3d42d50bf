"""The detector: its scale, its orientation, and where the rotation axis falls on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recon3d.config.declare import Declared, setting

_TILT: dict[str, Any] = {"unit": "degrees", "above": -80, "below": 80}
FLIPS = ("none", "rows", "columns", "both")


@dataclass(frozen=True, repr=False)
class Detector(Declared):
    """The detector: its scale, its orientation, and where the rotation axis falls on it."""

    magnification_pix_per_um: float = setting(
        help="magnification: pixels for one µm in the sample",
        key="M",
        unit="pixels per µm",
        above=0,
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
        0.0,
        "the same about its vertical axis; it stretches the columns",
        key="t_z",
        **_TILT,
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
