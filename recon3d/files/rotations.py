r"""From a grain's tilts to rotations of its lattice, for programs that know crystals.

A voxel with the tilt (a, b) diffracts when the sample is rocked by μ = a and rolled by γ = b, so
its lattice is turned the other way: by -a about z (the rocking axis at ω = 0, where the base tilt
counts the way the Bragg angle does), and by -b times the handedness about x. The turn about y,
along **G**, leaves **G** where it is: it cannot be seen, and is set to zero.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.config.crystal import Crystal
from recon3d.config.declare import as_text, parse_texts

FloatArray = NDArray[np.float64]

_UNKNOWN_TURN = "the rotation about G (y) cannot be seen, and is set to zero"
_RELATIVE = "rotations are relative to the grain's mean orientation, which is not known"

_LAUE_STARTS = (1, 3, 16, 75, 89, 143, 149, 168, 177, 195, 207)
"""First space group of each Laue group."""
_FACE_CENTRED = (196, 202, 203, 209, 210, 216, 219, 225, 226, 227, 228)
_BODY_CENTRED = (197, 199, 204, 206, 211, 214, 217, 220, 229, 230)


class Lattice(NamedTuple):
    """The crystal lattice, as the grain's .ini names it."""

    space_group: int  # its number
    unit_cell: tuple[float, ...]  # lengths in Å and angles in degrees

    @property
    def centring(self) -> str:
        """Centring of a cubic lattice, "F" or "I"; "P" for all others."""
        if self.space_group in _FACE_CENTRED:
            return "F"
        return "I" if self.space_group in _BODY_CENTRED else "P"

    @property
    def laue_group(self) -> int:
        """Number of the Laue group from 1 to 11: -1, 2/m, mmm, 4/m, ..., m-3, m-3m."""
        return bisect_right(_LAUE_STARTS, self.space_group)


def lattice(provenance: Mapping[str, Any]) -> Lattice | None:
    """The lattice that a grain was reconstructed with; None where the file does not say."""
    found = _recorded(provenance, "sg_no", "unit_cell")
    return Lattice(**found) if len(found) == 2 else None


def rotation_vectors(tilts_deg: FloatArray, provenance: Mapping[str, Any]) -> FloatArray:
    """Right-handed turns of the lattice about x, y, z in degrees, (..., 3), from tilts (a, b)."""
    sense, turn = (_sign(provenance, key) for key in ("base_tilt_sense", "omega_sense"))
    handed = _sign(provenance, "handedness") * turn
    a, b = tilts_deg[..., 0], tilts_deg[..., 1]
    return np.stack([-sense * handed * b, np.zeros_like(a), -sense * a], axis=-1)


def rotation_matrices(
    tilts_deg: FloatArray, mean_deg: FloatArray, provenance: Mapping[str, Any]
) -> FloatArray:
    """Matrices that turn crystal axes into sample axes, v_sample = U v_crystal: (n, 3, 3).

    U of the mean tilt, `mean_deg`, is what `provenance` says of it, else 1.
    """
    from scipy.spatial.transform import Rotation

    vectors = np.radians(rotation_vectors(tilts_deg - mean_deg, provenance))
    mean = mean_orientation(provenance)
    return Rotation.from_rotvec(vectors).as_matrix() @ (np.eye(3) if mean is None else mean)


def notes(provenance: Mapping[str, Any]) -> str:
    """What must be known of a grain's rotations, as files with them say it."""
    known = mean_orientation(provenance) is not None
    return _UNKNOWN_TURN if known else f"{_UNKNOWN_TURN}; {_RELATIVE}"


def euler_bunge_deg(matrices: FloatArray) -> FloatArray:
    """Bunge's angles (φ1, Φ, φ2) of U, (n, 3, 3): from 0 to 360, 180 and 360; (n, 3)."""
    # By hand: scipy warns of Φ = 0, which is what the mean itself has where it is not known.
    # A turn by φ1 about z, Φ about x and φ2 about z, each about the axes turned so far.
    u = matrices
    tilt = np.arctan2(np.hypot(u[:, 0, 2], u[:, 1, 2]), u[:, 2, 2])
    flat = np.hypot(u[:, 0, 2], u[:, 1, 2]) < 1e-9
    first = np.where(flat, np.arctan2(u[:, 1, 0], u[:, 0, 0]), np.arctan2(u[:, 0, 2], -u[:, 1, 2]))
    second = np.where(flat, 0.0, np.arctan2(u[:, 2, 0], u[:, 2, 1]))
    angles = np.degrees(np.stack([first, tilt, second], axis=1))
    angles[:, [0, 2]] %= 360
    return angles


def mean_orientation(provenance: Mapping[str, Any]) -> FloatArray | None:
    """U of the grain's mean orientation, (3, 3), sample from crystal; None where not given.

    Raises a ParameterError where it is no rotation, or no three angles.
    """
    from scipy.spatial.transform import Rotation

    found = _recorded(provenance, "orientation_matrix", "euler_bunge")
    u = Crystal((1, 1, 1, 90, 90, 90), (1, 0, 0), 1.0, **found).orientation
    return None if u is None else Rotation.from_matrix(u).as_matrix()


def _recorded(provenance: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Fields of the grain's `Crystal`, as far as they are known; they may be kept as texts."""
    known = {key: as_text(provenance[key]) for key in keys if provenance.get(key) is not None}
    return parse_texts(Crystal, {key: text.strip("\"' ") for key, text in known.items()})


def _sign(provenance: Mapping[str, Any], key: str) -> int:
    """+1 or -1; +1 where it is not known."""
    return -1 if as_text(provenance.get(key)).strip("\"' ").startswith("-") else 1
