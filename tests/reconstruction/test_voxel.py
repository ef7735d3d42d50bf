"""The distribution of one voxel, and the scan of a saved grain found again."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.reconstruction.model.scan_model import orient
from recon3d.reconstruction.quality.reprojection import (
    experiment_of,
    find_model,
    look_at_voxel,
    pixel_counts,
    place_of,
    voxel_bins,
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
