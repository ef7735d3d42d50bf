r"""From a grain's tilts to rotations of its lattice, for programs that know crystals.

A voxel with the tilt (a, b) diffracts when the sample is rocked by μ = a and rolled by γ = b, so
its lattice is turned the other way: by -a about z (the rocking axis at ω = 0, where the base tilt
counts the way the Bragg angle does), and by -b times the handedness about x. The turn about y,
along **G**, leaves **G** where it is: it cannot be seen, and is set to zero.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError

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
    group, cell = _value(provenance, "sg_no"), _value(provenance, "unit_cell")
    if group is None or cell is None or len(cell) != 6:
        return None
    return Lattice(int(group), tuple(float(number) for number in cell))


def rotation_vectors(tilts_deg: FloatArray, provenance: Mapping[str, Any]) -> FloatArray:
    """Turns of the lattice about x, y and z from tilts (a, b), (..., 2): (..., 3), degrees.

    They are right-handed, in sample axes, 0 about y. Of the grain's provenance its handedness, ω's
    sense and the base tilt's sense count.
    """
    sense, turn = (_sign(provenance, key) for key in ("base_tilt_sense", "omega_sense"))
    handed = _sign(provenance, "handedness") * turn
    a, b = tilts_deg[..., 0], tilts_deg[..., 1]
    return np.stack([-sense * handed * b, np.zeros_like(a), -sense * a], axis=-1)


def rotation_matrices(
    tilts_deg: FloatArray, mean_deg: FloatArray, provenance: Mapping[str, Any]
) -> FloatArray:
    """Matrices that turn crystal axes into sample axes, v_sample = U v_crystal: (n, 3, 3).

    `tilts_deg`, (n, 2): of voxels. `mean_deg`: that of the mean orientation. `provenance`: of the
    grain, with `orientation_matrix` or `euler_bunge` of the mean; U of the mean is 1 without them.
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

    Raises a ParameterError where `orientation_matrix` is no rotation, or `euler_bunge` no three
    angles.
    """
    from scipy.spatial.transform import Rotation

    matrix, angles = _value(provenance, "orientation_matrix"), _value(provenance, "euler_bunge")
    if matrix is not None:
        u = np.asarray(matrix, float)
        square = u.reshape(3, 3) if u.size == 9 else np.zeros((3, 3))
        if not np.allclose(square @ square.T, np.eye(3), atol=1e-3) or np.linalg.det(square) < 0:
            raise ParameterError(
                f"orientation_matrix is {u.ravel().tolist()}: expected the nine numbers of a "
                "rotation, row by row"
            )
        return Rotation.from_matrix(square).as_matrix()
    if angles is None:
        return None
    if np.shape(angles) != (3,):
        raise ParameterError(f"euler_bunge is {angles}: expected phi1, Phi, phi2 in degrees")
    return Rotation.from_euler("ZXZ", np.asarray(angles, float), degrees=True).as_matrix()


def _value(provenance: Mapping[str, Any], key: str) -> Any:
    """A value that may be kept as it stood in the .ini; None where there is none."""
    value = provenance.get(key)
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value.strip().strip("\"'"))
    except (ValueError, SyntaxError):
        words = value.replace(",", " ").split()
        try:
            return [float(word) for word in words]
        except ValueError:
            return None


def _sign(provenance: Mapping[str, Any], key: str) -> int:
    """+1 or -1; +1 where it is not known."""
    value = _value(provenance, key)
    return -1 if isinstance(value, (int, float)) and value < 0 else 1
