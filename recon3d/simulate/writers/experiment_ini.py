"""The .ini file of a simulated scan, ready for its reconstruction."""

from __future__ import annotations

import math
from pathlib import Path

from recon3d.config.ini import quoted
from recon3d.runtime.atomic import complete_or_absent
from recon3d.simulate.phantom import Phantom
from recon3d.simulate.scan_plan import ScanPlan

BOX_MARGIN = 1.1
"""Edge of the reconstructed box, in diameters of the sphere that holds the grain."""


def write_experiment_ini(
    path: Path, phantom: Phantom, plan: ScanPlan, *, results: str, voxels: int
) -> None:
    """Write the keys that `Experiment.from_ini` reads.

    What a user would have to find from the data stays out: the rotation axis, the turning centre
    and, where a scan can tell, the handedness and the widths. `results`: the value of `path`, the
    folder for the cleaned scan and the results. `voxels`: along each axis of the box.
    """
    lines = [f"# simulated {plan.kind} scan", f"# region of interest: {_roi_arguments(plan)}"]
    keys = _keys(phantom, plan, voxels) | {"path": results} | _given(plan)
    lines += [f"{key} {quoted(value)}" for key, value in keys.items()]
    with complete_or_absent(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def roi_center_and_size(plan: ScanPlan) -> tuple[tuple[int, int], tuple[int, int]]:
    """Centre and size, each as (column, row), of the recorded image's region of interest.

    As `getdata` and `Scan.crop` take them: the region starts at centre - size // 2.
    """
    row, col, rows, cols = plan.roi or (0, 0, *plan.recorded_shape)
    return (col + cols // 2, row + rows // 2), (cols, rows)


def _roi_arguments(plan: ScanPlan) -> str:
    (x, y), (width, height) = roi_center_and_size(plan)
    return f"POI {x},{y} IMGSIZE {width},{height} PHI0 {plan.phi0_deg:g} CHI0 {plan.chi0_deg:g}"


def _keys(phantom: Phantom, plan: ScanPlan, voxels: int) -> dict[str, str]:
    crystal = plan.crystal
    edge = math.ceil(2 * phantom.radius_um * BOX_MARGIN * 10) / 10
    return {
        "sg_no": str(crystal.space_group),
        "unit_cell": " ".join(f"{value:.10g}" for value in crystal.unit_cell),
        "hkl": " ".join(map(str, crystal.hkl)),
        "wavelength": f"{crystal.wavelength_angstrom:.10g}",
        "grain_pos": " ".join(f"{value:.10g}" for value in phantom.position_um),
        "grain_dim": f"{edge:g} {edge:g} {edge:g}",
        "grain_steps": str(voxels),
        "M": f"{plan.magnification_pix_per_um:.10g}",
        "mode": "horizontal",
        "t_x": f"{plan.tilt_x_deg:g}",
        "t_y": "0",
        "t_z": f"{plan.tilt_z_deg:g}",
        "detx_size": str(plan.recorded_shape[1]),
        "detz_size": str(plan.recorded_shape[0]),
    }


def _given(plan: ScanPlan) -> dict[str, str]:
    """Keys that no scan, or not this one, can tell by itself."""
    keys = {}
    if plan.omega_sense != 1:
        keys["omega_sense"] = f"{plan.omega_sense:+d}"
    if plan.flip != "none":
        keys["detector_flip"] = plan.flip
    if plan.transpose:
        keys["detector_transpose"] = "true"
    if plan.tilt_azimuth_deg:
        keys["tilt_azimuth"] = f"{plan.tilt_azimuth_deg:g}"
    if plan.roi_centre_pix[0] != (plan.roi_shape[0] - 1) / 2:
        keys["centre_row"] = f"{plan.roi_centre_pix[0]:.10g}"
    if plan.kind != "mosaicity":
        keys["handedness"] = f"{plan.handedness:+d}"
    if plan.gamma.number == 1 and math.isfinite(plan.rolling_width_deg):
        keys["rolling_width"] = f"{plan.rolling_width_deg:g}"
    return keys
