"""A grain beside its frames: one voxel, and sums for other programs."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.errors import ParameterError
from recon3d.geometry import ProjectionGeometry
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.fit.frames import predict_sum
from recon3d.reconstruction.model.scan_model import orient
from recon3d.reconstruction.quality.reprojection import (
    experiment_of,
    export_sums,
    find_model,
    look_at_voxel,
    parallel_vectors,
    pixel_counts,
    place_of,
    reproject,
    voxel_bins,
    voxels_of,
)
from recon3d.reconstruction.run import reconstruct


@pytest.fixture(scope="module")
def solved(planted):
    scan = planted("demo")
    chosen = scan.experiment.with_settings(method="backprojection")
    return scan, reconstruct(scan.store, chosen, show_progress=False)


def test_the_scan_beside_a_grain_is_found_and_a_missing_one_named(solved, tmp_path):
    scan, grain = solved
    model = find_model(grain, scan.store.path.with_name("grain.h5"))
    assert model.store.path == scan.store.path
    assert model.geometry.centre_col_pix == pytest.approx(grain.provenance["rotation_center"])
    with pytest.raises(ParameterError, match="looked for it at"):
        find_model(grain, tmp_path / "grain.h5")
    with pytest.raises(ParameterError, match="nowhere"):
        find_model(grain, None)
    assert experiment_of(grain).crystal == scan.experiment.crystal
    bare = replace(grain, provenance={})
    with pytest.raises(ParameterError, match="--ini"):
        experiment_of(bare)


def test_another_scan_is_refused(solved):
    scan, grain = solved
    roi, omega = grain.provenance["roi"], grain.projections["omega"]
    moved = {"provenance": {**grain.provenance, "roi": [roi[0] + 2, *roi[1:]]}}
    fewer = {"projections": {**grain.projections, "omega": omega[1:]}}
    for change in (moved, fewer):
        with pytest.raises(ParameterError, match="is not the scan that the grain was made from"):
            find_model(replace(grain, **change), None, scan.store.path)
    before = {name: value for name, value in grain.provenance.items() if name != "roi"}
    find_model(replace(grain, provenance=before), None, scan.store.path)


def test_counts_at_a_place_are_those_of_the_frames(solved):
    scan, grain = solved
    model = find_model(grain, None, scan.store.path)
    turned = replace(model, detector=replace(model.detector, flip="rows", transpose=True))
    for one in (model, turned):
        frames = one.frames(3)
        place = (30.25, 28.5)
        corner = frames[:, 30:32, 28:30]
        expected = np.einsum("frc,r,c->f", corner, [0.75, 0.25], [0.5, 0.5])
        np.testing.assert_allclose(pixel_counts(one, 3, place), expected, rtol=1e-5)
        assert frames.shape == orient(scan.store.read_projection(3), one.detector).shape
    assert np.isnan(pixel_counts(model, 3, (-5, 2))).all()


def test_the_distribution_is_strongest_near_the_planted_orientation(solved):
    scan, grain = solved
    model = find_model(grain, None, scan.store.path)
    bins = voxel_bins(model)
    truth = scan.truth.sample_on(grain.volume)
    inside = np.argwhere(truth.inside & grain.mask)
    errors = []
    for index in map(tuple, inside[:: len(inside) // 12]):
        point = tuple(float(grain.volume.axis_um(axis)[i]) for axis, i in enumerate(index))
        *_, seen = look_at_voxel(model, bins, point)
        last = seen.tilts
        assert seen.counts.shape == (len(model.projections), scan.store.shape[1])
        i, j = np.unravel_index(last.argmax(), last.shape)
        gap = (bins.a_deg[i] - truth.a_deg[index], bins.b_deg[j] - truth.b_deg[index])
        errors.append(np.hypot(*gap))
        row, col = place_of(model, 0, point)
        assert 0 <= row < 64
        assert 0 <= col < 64
    assert np.median(errors) < 0.032


@given(
    omega=st.floats(-360, 360),
    theta=st.floats(2, 40),
    point=st.tuples(*[st.floats(-9, 9)] * 3),
)
def test_a_ray_through_a_voxel_meets_the_pixel_it_lands_on(omega, theta, point):
    affine = ProjectionGeometry(theta, 3.1, 20.3, 31.7).affine(omega)
    ray, centre, along_cols, along_rows = parallel_vectors(affine, (40, 60)).reshape(4, 3)
    # p + s ray = centre + (col - 29.5) u + (row - 19.5) v
    s, col, row = np.linalg.solve(
        np.stack([-ray, along_cols, along_rows], axis=1), np.array(point) - centre
    )
    assert affine @ [*point, 1] == pytest.approx([row + 19.5, col + 29.5], abs=1e-6)
    assert np.dot(ray, along_cols) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(s)


def test_the_file_holds_the_sums_of_the_used_projections(planted, tmp_path):
    scan = planted("demo", handedness=-1)
    left_out = float(scan.store.omega_deg[2])
    model = build_model(scan.store, scan.experiment.with_settings(omega_exclude=(left_out,)), -1)
    export_sums(model, tmp_path / "sums.h5")
    with h5py.File(tmp_path / "sums.h5") as file:
        assert left_out not in file["omega"][()]
        assert file["vectors"].shape == (len(model.projections), 12)
        assert file["sums"][3] == pytest.approx(scan.store.read_projection(4).sum(axis=0))


@pytest.fixture(scope="module")
def strained(planted):
    """The planted grain of a strain scan in place of what is found of it, and its model."""
    scan = planted("strain", grain="strained", omega_deg=tuple(range(0, 180, 12)))
    chosen = scan.experiment.with_settings(method="backprojection")
    grain = reconstruct(scan.store, chosen, show_progress=False)
    truth = scan.truth.sample_on(grain.volume)
    arrays = {
        "occupancy": truth.occupancy.astype(np.float32),
        "mask": truth.inside,
        "orientation": np.stack([truth.a_deg, truth.b_deg], axis=-1).astype(np.float32),
        "strain": truth.strain.astype(np.float32),
    }
    return replace(grain, **arrays), find_model(grain, None, scan.store.path)


def test_frames_of_a_strained_grain_are_predicted_with_its_strain(strained):
    grain, model = strained
    measured = model.frames(3).ravel()
    with_strain, without = (
        np.corrcoef(measured, reproject(one, model, 3).ravel())[0, 1]
        for one in (grain, replace(grain, strain=None))
    )
    assert 1 - with_strain < 0.5 * (1 - without)


def test_an_acceptance_that_moves_over_the_image_is_reprojected_as_it_was_fitted(strained):
    grain, model = strained
    sloping = replace(model, acceptance=replace(model.acceptance, slope_deg_per_pix=(0.004, 0.002)))
    voxels = voxels_of(grain, np.flatnonzero(grain.mask), model.geometry.theta_deg)
    expected = predict_sum(sloping, voxels, 3)
    found = reproject(grain, sloping, 3).sum(axis=0)
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=1e-6)
