"""What a simulated scan does: its motors, its optics, and where the grain falls on the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import check_fields
from recon3d.config.crystal import Crystal
from recon3d.errors import ParameterError
from recon3d.geometry import ProjectionGeometry, TiltOrigin
from recon3d.readers.source import MotorTable

FloatArray = NDArray[np.float64]
_FLIPPED = {"none": (), "rows": (-2,), "columns": (-1,), "both": (-2, -1)}


@dataclass(frozen=True)
class Steps:
    """Evenly spaced settings of a motor, about the middle of its range.

    Parameters
    ----------
    half_range_deg
        From the middle to the last setting.
    number
        How many settings; 1 for a motor that stands still.
    """

    half_range_deg: float = 0.0
    number: int = 1

    def __post_init__(self) -> None:
        check_fields(self, number=">= 1", half_range_deg=">= 0")
        if (self.number == 1) != (self.half_range_deg == 0):
            raise ParameterError(
                f"{self.number} steps over ±{self.half_range_deg:g}°: one step has no range, and "
                "several need one"
            )

    @property
    def values_deg(self) -> FloatArray:
        """The settings, in increasing order."""
        return np.linspace(-self.half_range_deg, self.half_range_deg, self.number)


@dataclass(frozen=True)
class ScanPlan:
    """A topo-tomography scan that is to be simulated.

    Parameters
    ----------
    kind
        "mosaicity": μ and γ in the laboratory, as the ID06 macro drives them. "rocking": μ
        alone. "tilts": χ and φ above the rotation, base tilt fixed.
    omega_deg
        Readings of the rotation motor, one a projection.
    mu, gamma
        Rocking and rolling steps; the steps of χ and φ in a scan of kind "tilts".
    crystal
        Crystal, reflection and wavelength.
    magnification_pix_per_um
        Pixels for one µm in the sample.
    rows, cols
        Size of the image, the rotation axis along the rows' direction, before `flip` and
        `transpose`.
    two_theta
        Steps of the detector arm, in 2θ, of a strain scan.
    handedness
        h = ±1, the relative sense of the tilt motors and ω.
    turning_center_deg
        (μ_c, γ_c): the setting at which **G** lies along the rotation axis.
    rocking_width_deg, rolling_width_deg, two_theta_width_deg
        Standard deviations of the instrument's acceptance; infinity for wide open.
    phi0_deg, chi0_deg
        Readings of the tilt motors from which γ is counted.
    base_tilt_deg
        Reading of the base tilt from which μ is counted; None for the Bragg angle.
    base_tilt_sense
        +1 or -1: sense of the base tilt motor against θ.
    tilt_azimuth_deg
        0 or 90: the angle by which (χ, φ) is turned.
    omega_sense
        +1 or -1: sense of the ω motor in the map from sample to detector.
    tilt_x_deg, tilt_z_deg
        Deviations of the detector from perpendicular; they stretch rows and columns.
    flip, transpose
        What a reader must do, in this order, to put the recorded image upright.
    centre_row_pix, centre_col_pix
        Where the sample's origin falls; None for the middle of the image.
    axis_offset_pix
        Added to `centre_col_pix`: how far the rotation axis is off.
    drift_pix
        (row, column) by which the sample has drifted at each projection; () for no drift.
    centre_drift_deg
        (μ, γ) by which the turning centre has drifted at each projection; () for no drift.
    gamma_slope_deg_per_pix
        By how much the acceptance in γ moves with the row and with the column, from where the
        sample's origin falls.
    roi
        Row, column, rows and columns of the recorded image that hold the grain, for the
        .ini file; None for the whole image.
    zigzag
        True where every other rocking series runs backwards.
    jitter_deg
        Standard deviation of recorded motor readings about the true ones.

    Raises
    ------
    ParameterError
        A value is impossible, or does not belong to the kind of scan.
    """

    kind: Literal["mosaicity", "rocking", "tilts"]
    omega_deg: tuple[float, ...]
    mu: Steps
    gamma: Steps
    crystal: Crystal
    magnification_pix_per_um: float
    rows: int
    cols: int
    two_theta: Steps = Steps()
    handedness: Literal[1, -1] = 1
    turning_center_deg: tuple[float, float] = (0.0, 0.0)
    rocking_width_deg: float = 0.016
    rolling_width_deg: float = 0.03
    two_theta_width_deg: float = 0.007
    phi0_deg: float = -3.5
    chi0_deg: float = 1.2
    base_tilt_deg: float | None = None
    base_tilt_sense: Literal[1, -1] = 1
    tilt_azimuth_deg: float = 0.0
    omega_sense: Literal[1, -1] = 1
    tilt_x_deg: float = 0.0
    tilt_z_deg: float = 0.0
    flip: Literal["none", "rows", "columns", "both"] = "none"
    transpose: bool = False
    centre_row_pix: float | None = None
    centre_col_pix: float | None = None
    axis_offset_pix: float = 0.0
    drift_pix: tuple[tuple[float, float], ...] = ()
    centre_drift_deg: tuple[tuple[float, float], ...] = ()
    gamma_slope_deg_per_pix: tuple[float, float] = (0.0, 0.0)
    roi: tuple[int, int, int, int] | None = None
    zigzag: bool = False
    jitter_deg: float = 0.0005

    def __post_init__(self) -> None:
        widths = ("rocking_width_deg", "rolling_width_deg", "two_theta_width_deg")
        bounds = {"rows": ">= 1", "cols": ">= 1", "jitter_deg": ">= 0"}
        bounds |= {"magnification_pix_per_um": "> 0", **dict.fromkeys(widths, "> 0, <= inf")}
        check_fields(self, **bounds)
        self._check_kind()
        for name in ("drift_pix", "centre_drift_deg"):
            drift = getattr(self, name)
            if drift and len(drift) != len(self.omega_deg):
                raise ParameterError(
                    f"{name} has {len(drift)} entries for {len(self.omega_deg)} projections: "
                    "expected a pair for each"
                )
        self._check_roi()

    def _check_kind(self) -> None:
        if not self.omega_deg:
            raise ParameterError("omega_deg is empty: expected the angle of each projection")
        if self.kind == "rocking" and self.gamma.number != 1:
            raise ParameterError(
                f"a rocking scan with {self.gamma.number} rolling steps: make it a mosaicity scan"
            )

    def _check_roi(self) -> None:
        if self.roi is None:
            return
        (row, col, rows, cols), shape = self.roi, self.recorded_shape
        fits = min(row, col) >= 0 and row + rows <= shape[0] and col + cols <= shape[1]
        if not fits or min(rows, cols) < 1:
            raise ParameterError(
                f"roi {list(self.roi)} (row, column, rows, columns) is not inside the recorded "
                f"image of {shape[0]} rows x {shape[1]} columns"
            )

    @property
    def projections(self) -> int:
        """Number of rotation angles."""
        return len(self.omega_deg)

    @property
    def frames(self) -> int:
        """Number of frames in a projection."""
        return self.mu.number * self.gamma.number * self.two_theta.number

    @property
    def recorded_shape(self) -> tuple[int, int]:
        """Rows and columns of the recorded image."""
        return (self.cols, self.rows) if self.transpose else (self.rows, self.cols)

    @property
    def origin(self) -> TiltOrigin:
        """Motor readings from which μ and γ are counted."""
        base_tilt = self.base_tilt_deg
        if base_tilt is None:
            base_tilt = self.base_tilt_sense * round(self.crystal.bragg_angle_deg, 3)
        return TiltOrigin(base_tilt, self.chi0_deg, self.phi0_deg, self.tilt_azimuth_deg)

    @property
    def centre_pix(self) -> tuple[float, float]:
        """Row and column of the whole upright image on which the sample's origin falls."""
        row, col = self.centre_row_pix, self.centre_col_pix
        row = (self.rows - 1) / 2 if row is None else row
        col = (self.cols - 1) / 2 if col is None else col
        return row, col + self.axis_offset_pix

    @property
    def roi_shape(self) -> tuple[int, int]:
        """Rows and columns of the upright ROI."""
        return self.upright_roi[2:]

    @property
    def roi_centre_pix(self) -> tuple[float, float]:
        """Row and column of the upright ROI on which the sample's origin falls."""
        row, col, _, _ = self.upright_roi
        return self.centre_pix[0] - row, self.centre_pix[1] - col

    def geometry(self, projection: int) -> ProjectionGeometry:
        """Map from sample to the upright image, drift of that projection included."""
        row, col = self.centre_pix
        if self.drift_pix:
            row, col = row + self.drift_pix[projection][0], col + self.drift_pix[projection][1]
        return ProjectionGeometry(
            theta_deg=self.crystal.bragg_angle_deg,
            magnification_pix_per_um=self.magnification_pix_per_um,
            centre_row_pix=row,
            centre_col_pix=col,
            stretch_rows=float(1 / np.cos(np.radians(self.tilt_x_deg))),
            stretch_cols=float(1 / np.cos(np.radians(self.tilt_z_deg))),
            omega_sense=self.omega_sense,
        )

    @property
    def upright_roi(self) -> tuple[int, int, int, int]:
        """First row, first column, rows and columns of the ROI in the upright image."""
        row, col, rows, cols = self.roi or (0, 0, *self.recorded_shape)
        if self.flip in ("rows", "both"):
            row = self.recorded_shape[0] - row - rows
        if self.flip in ("columns", "both"):
            col = self.recorded_shape[1] - col - cols
        return (col, row, cols, rows) if self.transpose else (row, col, rows, cols)


def as_recorded(images: NDArray[Any], flip: str, transpose: bool) -> NDArray[Any]:
    """Turn upright images, (..., rows, cols), into those that the detector records."""
    turned = np.swapaxes(images, -2, -1) if transpose else images
    return np.flip(turned, _FLIPPED[flip])


MOVED = ("omega", "base_tilt", "chi", "phi", "two_theta")
"""The parts of a goniometer that scans move; a `MotorTable` has them with "_deg" behind."""


def true_motors(plan: ScanPlan, projection: int) -> MotorTable:
    """Where the motors stand in the frames of a projection, in the order of time.

    The ID06 macro drives ``diffrz = diffrz0 + μ``, ``phi = phi0 + γ cos ω`` and
    ``chi = chi0 + γ sin ω / cos phi0``. The ring current is left open (NaN).
    """
    mu, gamma, two_theta = planned_steps(plan)
    omega = np.radians(plan.omega_deg[projection])
    if plan.kind == "tilts":
        base_tilt, chi, phi = np.zeros_like(mu), mu, gamma
    else:
        base_tilt, chi, phi = mu, gamma * np.sin(omega), gamma * np.cos(omega)
    azimuth = np.radians(plan.tilt_azimuth_deg)
    chi, phi = (
        chi * np.cos(azimuth) + phi * np.sin(azimuth),
        phi * np.cos(azimuth) - chi * np.sin(azimuth),
    )
    return MotorTable(
        omega_deg=np.full(plan.frames, plan.omega_deg[projection], float),
        base_tilt_deg=plan.origin.base_tilt_deg + base_tilt,
        chi_deg=plan.chi0_deg + chi / np.cos(np.radians(plan.phi0_deg)),
        phi_deg=plan.phi0_deg + phi,
        two_theta_deg=2 * plan.crystal.bragg_angle_deg + two_theta,
        energy_kev=np.full(plan.frames, plan.crystal.energy_kev),
        ring_current_ma=np.full(plan.frames, np.nan),
    )


def planned_steps(plan: ScanPlan) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Steps of (μ, γ, 2θ), or (χ, φ, 2θ), of the frames in order of time, μ the fastest."""
    two_theta, gamma, mu = np.meshgrid(
        plan.two_theta.values_deg, plan.gamma.values_deg, plan.mu.values_deg, indexing="ij"
    )
    series = mu.reshape(-1, plan.mu.number)
    if plan.zigzag:
        series[1::2] = series[1::2, ::-1].copy()
    return series.ravel(), gamma.ravel(), two_theta.ravel()


def recorded_motors(plan: ScanPlan, projection: int, seed: int) -> MotorTable:
    """Motor readings as they are recorded, with their jitter, shape (frames,)."""
    motors = true_motors(plan, projection)
    rng = np.random.default_rng([seed, 1, projection])
    for part in MOVED:
        read = getattr(motors, f"{part}_deg") + plan.jitter_deg * rng.standard_normal(plan.frames)
        motors = replace(motors, **{f"{part}_deg": read})
    return motors
