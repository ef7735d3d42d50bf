"""Colours for orientations: a key in two dimensions, without drawing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.arguments import checked
from recon3d.errors import ParameterError

Center = tuple[float, float]

CENTER_LIGHTNESS = 0.89
"""OKLab lightness of an undistorted voxel: a light grey that shows on white paper."""
RIM_LIGHTNESS = 0.68
RIM_CHROMA = 0.135
RIM_CHROMA_SWING = 0.022
"""sRGB holds less chroma in cyan (hue 180°) than in pink (0°): the rim follows that."""
HUE_OF_PLUS_A_DEG = 25.0
"""OKLab hue of a tilt along +a: red."""

_CUBED_FROM_OKLAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_SRGB_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@checked(range_deg="> 0")
def orientation_colors(
    a_deg: ArrayLike, b_deg: ArrayLike, range_deg: float, center_deg: Center = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Colour of tilts (a, b): the hue is their direction, the strength their size.

    The centre is light grey; lightness falls and chroma grows evenly with the distance,
    in OKLab (B. Ottosson, "A perceptual color space for image processing", 2020), so that
    equal distances look about equal. Beyond the range the colour stays that of the rim.

    Parameters
    ----------
    a_deg, b_deg
        Tilts in degrees, of any one shape (...).
    range_deg
        Distance from the centre at which the colour is fullest.
    center_deg
        The tilt that is shown grey.

    Returns
    -------
    rgb
        Shape (..., 3), 0 to 1; NaN where a tilt is NaN.
    """
    a = np.asarray(a_deg, float) - center_deg[0]
    b = np.asarray(b_deg, float) - center_deg[1]
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ParameterError(
            f"a_deg has the shape {a.shape}, and b_deg {b.shape}: expected one shape of both"
        ) from None
    share = np.minimum(np.hypot(a, b) / range_deg, 1)
    hue = np.arctan2(b, a) + np.radians(HUE_OF_PLUS_A_DEG)
    lightness = CENTER_LIGHTNESS + (RIM_LIGHTNESS - CENTER_LIGHTNESS) * share
    chroma = (RIM_CHROMA + RIM_CHROMA_SWING * np.cos(hue)) * share
    return _srgb_from_oklab(
        np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    )


def orientation_rgba(
    a_deg: ArrayLike,
    b_deg: ArrayLike,
    mask: ArrayLike,
    range_deg: float,
    center_deg: Center = (0.0, 0.0),
) -> NDArray[np.float64]:
    """Colours of orientations, clear outside a mask and where a tilt is NaN; (..., 4), 0 to 1.

    The tilts, in degrees, and the mask have one shape (...).
    """
    rgb = orientation_colors(a_deg, b_deg, range_deg, center_deg)
    shown = np.asarray(mask, bool) & np.isfinite(rgb).all(axis=-1)
    return np.concatenate([np.where(shown[..., None], rgb, 1), shown[..., None]], axis=-1)


def _srgb_from_oklab(oklab: NDArray[np.float64]) -> NDArray[np.float64]:
    root = oklab @ _CUBED_FROM_OKLAB.T
    linear = np.clip((root * root * root) @ _SRGB_FROM_LMS.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@checked(a_deg="(*)", b_deg="(*)")
def orientation_range(a_deg: ArrayLike, b_deg: ArrayLike) -> tuple[float, Center]:
    """Range and centre of the colours that suit a set of tilts.

    Parameters
    ----------
    a_deg, b_deg
        Tilts in degrees; NaN is passed over.

    Returns
    -------
    range_deg
        Distance from the centre that 98 % of the tilts keep, to two digits; 1 for none.
    center_deg
        The median tilt, to as many decimals.
    """
    a, b = np.ravel(a_deg).astype(float), np.ravel(b_deg).astype(float)
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return 1.0, (0.0, 0.0)
    center = (float(np.median(a[known])), float(np.median(b[known])))
    reach = float(np.percentile(np.hypot(a[known] - center[0], b[known] - center[1]), 98))
    range_deg = float(f"{reach:.2g}") if reach > 0 else 1.0
    decimals = decimals_of(range_deg)
    # Adding zero turns -0.0 into 0.0.
    return range_deg, (round(center[0], decimals) + 0.0, round(center[1], decimals) + 0.0)


def decimals_of(range_deg: float) -> int:
    """Decimals that show a range to two digits."""
    return max(1 - math.floor(math.log10(range_deg)), 0)
