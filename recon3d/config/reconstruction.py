"""The settings of a reconstruction."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d.config.declare import Declared, setting

METHODS = ("iterative", "backprojection")
FRAMES = ("sample", "lab")
ALGORITHMS = ("mlem", "sirt")
ALIGNMENTS = ("drift", "axis", "none")


def _angle(help: str, key: str) -> float | None:
    """Declare a positive angle that is found from the data where it is not given."""
    found: float | None = setting(None, help, key=key, unit="degrees", bounds=">= 1e-06")
    return found


@dataclass(frozen=True, repr=False)
class Settings(Declared):
    """How the grain is reconstructed; None stands for "find it from the data"."""

    method: str = setting(
        "iterative",
        "iterative fits all frames; backprojection sums them, which is quicker and rougher",
        choices=METHODS,
        option="--method",
    )
    frame: str = setting(
        "sample",
        "sample: tilts turn with ω; lab: sum at fixed (μ, γ), for comparison",
        choices=FRAMES,
        option="--frame",
    )
    iterations: int = setting(
        10,
        "passes of the iterative method, at most",
        bounds=">= 1",
        option="--iterations",
        metavar="N",
    )
    stop_change: float = setting(
        0.01,
        "relative change of the residual from one pass to the next below which it stops",
        bounds=">= 0",
    )
    algorithm: str = setting(
        "mlem", "mlem (for counts) or sirt (least squares)", choices=ALGORITHMS
    )
    tv_weight: float = setting(
        0.0,
        "weight of the total variation that smooths the occupancy after each pass, as a share of a "
        "typical voxel's; 0 for none",
        bounds=">= 0, <= 100",
    )
    handedness: int = setting(
        0, "relative sense of the tilt motors and ω", choices=(1, -1), words={"auto": 0}
    )
    turning_center_deg: tuple[float, float] | None = setting(
        None,
        "(μ_c, γ_c): the setting at which G lies exactly along the rotation axis",
        key="turning_center",
        unit="degrees",
    )
    rocking_width_deg: float | None = _angle(
        "standard deviation of the instrument's acceptance in rocking (μ)", "rocking_width"
    )
    rolling_width_deg: float | None = _angle("the same in rolling (γ)", "rolling_width")
    two_theta_width_deg: float | None = _angle("the same in 2θ", "two_theta_width")
    tilt_azimuth_deg: float | None = setting(
        None,
        "turns (χ, φ), for scan macros that swap the two; as getdata was told where not given",
        key="tilt_azimuth",
        unit="degrees",
        choices=(0, 90),
    )
    base_tilt_sense: int | None = setting(
        None, "sense of the base tilt motor against θ", choices=(1, -1)
    )
    completeness_cutoff: float | None = setting(
        None,
        "completeness from which a voxel belongs to the grain (backprojection); auto for the cut "
        "whose projections agree best with the lit pixels",
        bounds=">= 0, <= 1",
        words={"auto": None},
    )
    bin_deg: float | None = _angle(
        "distance of the orientation bins; half a step of the scan where not given", "bin_size"
    )
    omega_exclude: tuple[float, ...] = setting(
        (), "rotation angles of projections to leave out", unit="degrees"
    )
    align: str = setting(
        "drift",
        "drift: find the rotation axis and how the sample drifted, by reprojection; axis: the axis "
        "alone; none: as given",
        choices=ALIGNMENTS,
    )
    split_half: bool = setting(
        True,
        "reconstruct from the odd and the even projections too, to say how far the result can be "
        "trusted, at double the time",
    )
    checkpoint_seconds: float = setting(
        60.0,
        "how often the state of the iterative method is saved, so that --resume can go on from it; "
        "0 for never",
        unit="s",
        bounds=">= 0",
        option="--checkpoint",
        metavar="SECONDS",
    )
