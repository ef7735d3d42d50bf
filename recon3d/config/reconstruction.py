"""How a reconstruction is to be made: what the optional keys of an .ini say."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d.config.ini_keys import ALGORITHMS, ALIGNMENTS, FRAMES, METHODS
from recon3d.errors import ParameterError

_SMALLEST_ANGLE_DEG = 1e-6
_STRONGEST_TV = 100.0


@dataclass(frozen=True)
class Settings:
    """How the grain is reconstructed; None stands for "find it from the data".

    Parameters
    ----------
    method
        "iterative" inverts the operator; "backprojection" sums, and is quick.
    frame
        "sample" turns the tilts with ω; "lab" sums at fixed (μ, γ), for comparison.
    iterations
        Passes of the iterative method, at most.
    stop_change
        Relative change of the residual from one pass to the next below which it stops.
    algorithm
        "mlem" (for counts) or "sirt" (least squares).
    tv_weight
        Weight of the total variation that smooths the occupancy after each pass, as a share
        of a typical voxel's; 0 for none.
    handedness
        +1, -1, or 0 for automatic.
    turning_center_deg
        (μ_c, γ_c): the setting at which **G** lies exactly along the rotation axis.
    rocking_width_deg, rolling_width_deg, two_theta_width_deg
        Standard deviations of the instrument's acceptance.
    tilt_azimuth_deg
        0 or 90: turns (χ, φ), for scan macros that swap the two.
    base_tilt_sense
        +1 or -1: sense of the base tilt motor against θ.
    completeness_cutoff
        Completeness from which a voxel belongs to the grain (backprojection).
    bin_deg
        Distance of the orientation bins; None for half a step of the scan.
    omega_exclude
        Rotation angles, in degrees, of projections to leave out.
    align
        "drift" refines the rotation axis and finds how the sample drifted, by reprojection;
        "axis" the axis alone; "none" takes both as they are.
    split_half
        Reconstruct from the odd and the even projections too, to say how far the result can
        be trusted.
    checkpoint_seconds
        How often the state of the iterative method is saved, so that `--resume` can go on from
        it; 0 for never.
    """

    method: str = "iterative"
    frame: str = "sample"
    iterations: int = 10
    stop_change: float = 0.01
    algorithm: str = "mlem"
    tv_weight: float = 0.0
    handedness: int = 0
    turning_center_deg: tuple[float, float] | None = None
    rocking_width_deg: float | None = None
    rolling_width_deg: float | None = None
    two_theta_width_deg: float | None = None
    tilt_azimuth_deg: float | None = None
    base_tilt_sense: int | None = None
    completeness_cutoff: float = 0.5
    bin_deg: float | None = None
    omega_exclude: tuple[float, ...] = ()
    align: str = "drift"
    split_half: bool = True
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        require_one_of("method", self.method, METHODS)
        require_one_of("frame", self.frame, FRAMES)
        require_one_of("align", self.align, ALIGNMENTS)
        require_one_of("algorithm", self.algorithm, ALGORITHMS)
        for name in ("stop_change", "tv_weight", "checkpoint_seconds"):
            if not getattr(self, name) >= 0:
                raise ParameterError(f"{name} is {getattr(self, name):g}: expected 0 or more")
        if self.tv_weight > _STRONGEST_TV:
            raise ParameterError(
                f"tv_weight is {self.tv_weight:g}: expected a share of a typical voxel's "
                f"occupancy, {_STRONGEST_TV:g} at most"
            )
        require_one_of("tilt_azimuth", self.tilt_azimuth_deg, (None, 0, 90))
        if self.handedness:
            require_sign("handedness", self.handedness)
        if self.base_tilt_sense is not None:
            require_sign("base_tilt_sense", self.base_tilt_sense)
        if self.iterations < 1:
            raise ParameterError(f"iterations is {self.iterations}: expected 1 or more")
        if not 0 <= self.completeness_cutoff <= 1:
            raise ParameterError(
                f"completeness_cutoff is {self.completeness_cutoff:g}: expected a share, 0 to 1"
            )
        for key, angle in (
            ("rocking_width", self.rocking_width_deg),
            ("rolling_width", self.rolling_width_deg),
            ("two_theta_width", self.two_theta_width_deg),
            ("bin_size", self.bin_deg),
        ):
            if angle is not None and not angle >= _SMALLEST_ANGLE_DEG:
                raise ParameterError(
                    f"{key} is {angle:g}: expected a positive angle in degrees, not below "
                    f"{_SMALLEST_ANGLE_DEG:g}"
                )


def require_one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        known = ", ".join(str(choice) for choice in choices if choice is not None)
        raise ParameterError(f"{name} is {value}: expected one of {known}")


def require_sign(name: str, value: int) -> None:
    """Refuse a sense that is neither +1 nor -1."""
    if value not in (1, -1):
        raise ParameterError(f"{name} is {value}: expected +1 or -1")
