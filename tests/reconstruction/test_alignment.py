"""Axis, drift and the edges of the light, found by reprojection."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from recon3d.config.volume import Volume
from recon3d.projection.operator import voxel_centres_um
from recon3d.reconstruction import build
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.fit.alignment import (
    Alignment,
    align,
    best_shift,
    coarser_points,
    realign,
    shift_model,
)
from recon3d.reconstruction.fit.completeness import find_support
from recon3d.reconstruction.fit.passes import parts_for
from recon3d.reconstruction.quality.doubts import _jump
from recon3d.reconstruction.run import reconstruct


@pytest.mark.parametrize("moved", [(0.3, -0.6), (-0.8, 0.1), (0.0, 0.0)])
def test_best_shift_of_a_smooth_image(moved):
    image = gaussian_filter(np.random.default_rng(0).random((50, 60)), 4)
    image = np.pad(image[10:-10, 10:-10] - image.min(), 15)
    image = gaussian_filter(image, 2)
    assert best_shift(image, 3 * shift(image, moved)) == pytest.approx(moved, abs=0.08)


def random_drift(count, rms_pix):
    drift = np.random.default_rng(1).normal(size=(count, 2)) * rms_pix
    return tuple((float(row), float(col)) for row, col in drift)


@pytest.fixture(scope="module")
def drifting(planted):
    """A scan whose axis is off the middle, and every projection displaced at random."""
    drift = random_drift(18, 0.35)
    return planted("demo", axis_offset_pix=4.4, drift_pix=drift, handedness=-1), np.array(drift)


def test_align_finds_axis_and_drift(drifting):
    scan, drift = drifting
    model = build_model(scan.store, scan.experiment, -1)
    points = voxel_centres_um(scan.experiment.volume)
    points = points[find_support(model, points, 0.75, 2)]
    found = align(model, points, scan.experiment.volume, Alignment(axis=True, drift=True))
    # A part of the planted drift looks like an axis elsewhere.
    assert found.geometry.centre_col_pix == pytest.approx(scan.truth.rotation_center_pix, abs=0.2)
    # What no displacement of the whole sample explains is found to a tenth of a pixel.
    planted = shift_model(
        replace(model, drift_pix=np.zeros_like(drift)), drift, Alignment(axis=True, drift=True)
    )
    error = found.drift_pix - planted.drift_pix
    assert np.sqrt((error**2).mean()) < 0.1 < np.sqrt((planted.drift_pix**2).mean())


def test_a_jump_of_the_sample_is_found_and_told(planted):
    jump = tuple((-1.0, 5.0) if k < 11 else (0.0, 0.0) for k in range(18))
    scan = planted("demo", drift_pix=jump)
    model = build_model(scan.store, scan.experiment, 1)
    points = voxel_centres_um(scan.experiment.volume)
    points = points[find_support(model, points, 0.5, 6)]
    allowed = Alignment(axis=True, drift=True)
    found = align(model, points, scan.experiment.volume, allowed)
    step = found.drift_pix[11] - found.drift_pix[10]
    # Ten degrees further a displacement of the sample looks different, too.
    assert step == pytest.approx((1.0, -5.0), abs=0.7)
    told = _jump(SimpleNamespace(model=found))
    omega = scan.store.omega_deg
    assert re.search(rf"by 4\.\d pixels between ω = {omega[10]:.2f} and {omega[11]:.2f}°", told)


def test_displacements_of_the_sample_are_no_drift(drifting):
    model = build_model(drifting[0].store, drifting[0].experiment, -1)
    maps = np.stack([model.affine(int(k))[:, :3] for k in model.projections])
    shifts = maps @ np.array([0.3, -0.2, 0.1])
    moved = shift_model(model, shifts, Alignment(axis=True, drift=True))
    assert np.abs(moved.drift_pix).max() < 1e-9
    assert moved.geometry.centre_col_pix == pytest.approx(model.geometry.centre_col_pix)


def test_only_what_is_allowed_moves(drifting):
    model = build_model(drifting[0].store, drifting[0].experiment, -1)
    shifts = np.random.default_rng(2).normal(size=(len(model.projections), 2))
    axis_only = shift_model(model, shifts, Alignment(axis=True, drift=False))
    assert not axis_only.drift_pix.any()
    assert axis_only.geometry.centre_col_pix != model.geometry.centre_col_pix
    drift_only = shift_model(model, shifts, Alignment(axis=False, drift=True))
    assert drift_only.geometry == model.geometry
    assert drift_only.drift_pix.any()
    assert Alignment.of(drifting[0].experiment, model).any
    few = replace(model, projections=model.projections[:5])
    assert not Alignment.of(drifting[0].experiment, few).any


def test_known_orientations_put_the_axis_right_where_voxels_are_hidden(planted):
    scan = planted("rocking", rolling_width_deg=0.06)
    experiment = scan.experiment.with_settings(rolling_width_deg=0.06, split_half=False)
    grain = reconstruct(scan.store, experiment, show_progress=False)
    found = grain.provenance["rotation_center"]
    assert found == pytest.approx(scan.truth.rotation_center_pix, abs=0.2)


def test_coarser_points_cover_the_same_voxels():
    volume = Volume((1.0, 0.0, -1.0), (8.0, 8.0, 8.0), (16, 16, 16))
    points = voxel_centres_um(volume)[::3]
    coarse, edges = coarser_points(points, volume, at_most=300)
    assert edges == pytest.approx((1.0, 1.0, 1.0))
    distance = np.abs(points[:, None] - coarse[None]).max(axis=2).min(axis=1)
    assert distance.max() <= 0.5 + 1e-9
    same, edges = coarser_points(points, volume, at_most=10**6)
    assert len(same) == len(points)
    assert edges == pytest.approx(volume.voxel_um)


def test_few_projections_tell_every_step_together():
    assert [parts_for(number) for number in (1, 12, 49, 50, 99, 226)] == [1, 1, 1, 2, 3, 4]


def test_voxels_leave_the_axis_of_a_short_turn_alone():
    store = SimpleNamespace(omega_deg=np.arange(0.0, 90.0, 5.0))
    model = SimpleNamespace(store=store, projections=np.arange(18))
    assert realign(model, None, Alignment(axis=True, drift=True)) is model


def test_the_axis_settles_where_every_projection_is_cut(planted, monkeypatch):
    whole = {"rows": 96, "cols": 96, "magnification_pix_per_um": 6.0}
    scan = planted("demo", faults=("edge:1",), **whole)
    truth = scan.truth.rotation_center_pix
    model = build.prepare(scan.store, scan.experiment)[0]
    # What is cut off changes with ω, as a drift does.
    assert model.centre_drift_deg == (0.0, 0.0)
    settled = abs(model.rotation_center - truth)
    monkeypatch.setattr(build, "MOST_ALIGNMENTS", 1)
    once = abs(build.prepare(scan.store, scan.experiment)[0].rotation_center - truth)
    assert settled < 0.7
    assert settled < once
