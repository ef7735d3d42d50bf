"""The .ini file of a simulated scan, ready for its reconstruction."""

from __future__ import annotations

import math
from pathlib import Path

from recon3d.config.declare import as_text, record_of
from recon3d.config.experiment import Detector
from recon3d.config.ini import quoted
from recon3d.config.volume import Volume
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
    and, where a scan can tell, the handedness and the widths. `results`: the value of `path`.
    """
    (x, y), (width, height) = roi_center_and_size(plan)
    place = f"POI {x},{y} IMGSIZE {width},{height} PHI0 {plan.phi0_deg:g} CHI0 {plan.chi0_deg:g}"
    lines = [f"# simulated {plan.kind} scan", f"# region of interest: {place}"]
    edge_um = math.ceil(2 * phantom.radius_um * BOX_MARGIN * 10) / 10
    volume = Volume(phantom.position_um, (edge_um,) * 3, (voxels,) * 3)
    rows, cols = plan.recorded_shape
    keys = record_of(plan.crystal) | record_of(volume) | record_of(_detector(plan)) | _given(plan)
    keys |= {"grain_steps": voxels, "mode": "horizontal", "detx_size": cols, "detz_size": rows}
    lines += [f"{key} {as_text(value).replace(',', ' ')}" for key, value in keys.items()]
    lines.append(f"path {quoted(results)}")
    with complete_or_absent(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def roi_center_and_size(plan: ScanPlan) -> tuple[tuple[int, int], tuple[int, int]]:
    """Centre and size of the region of interest, as (column, row), for `getdata`."""
    row, col, rows, cols = plan.roi or (0, 0, *plan.recorded_shape)
    return (col + cols // 2, row + rows // 2), (cols, rows)


def _detector(plan: ScanPlan) -> Detector:
    row, middle = plan.roi_centre_pix[0], (plan.roi_shape[0] - 1) / 2
    return Detector(
        magnification_pix_per_um=plan.magnification_pix_per_um,
        omega_sense=plan.omega_sense,
        flip=plan.flip,
        transpose=plan.transpose,
        tilt_x_deg=plan.tilt_x_deg,
        tilt_z_deg=plan.tilt_z_deg,
        centre_row_pix=None if row == middle else row,
    )


def _given(plan: ScanPlan) -> dict[str, float]:
    """Keys that no scan, or not this one, can tell by itself."""
    keys: dict[str, float] = {}
    if plan.tilt_azimuth_deg:
        keys["tilt_azimuth"] = plan.tilt_azimuth_deg
    if plan.kind != "mosaicity":
        keys["handedness"] = plan.handedness
    if plan.gamma.number == 1 and math.isfinite(plan.rolling_width_deg):
        keys["rolling_width"] = plan.rolling_width_deg
    return keys
