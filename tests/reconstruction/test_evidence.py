"""What frames say of a grain in merged pixels and in those of the scan."""

import numpy as np
import pytest

from recon3d.projection.operator import Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.model.sizes import Size, merged_scan, seen_in
from recon3d.reconstruction.quality.agreement import look_at_frames


def test_merged_pixels_tell_signal_and_columns_of_the_scan(planted):
    scan = planted("demo")
    volume = scan.experiment.volume
    truth = scan.truth.sample_on(volume)
    inside = truth.inside.ravel()
    tilts = [values.ravel()[inside] for values in (truth.a_deg, truth.b_deg)]
    voxels = OrientedVoxels(
        Projector(voxel_centres_um(volume)[inside], volume.voxel_um),
        np.stack([*tilts, np.zeros(inside.sum())]),
        np.ones(inside.sum()),
    )
    model = build_model(scan.store, scan.experiment, 1)
    merged = seen_in(model, Size(merged_scan(scan.store, 2), scan.experiment))
    own, told = look_at_frames(model, voxels), look_at_frames(merged, voxels, model)
    np.testing.assert_array_equal(told.columns[0], own.columns[0])
    np.testing.assert_allclose(own.columns[0], scan.store.summed.sum(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(told.columns[1], own.columns[1], rtol=0.03)
    assert np.nanmedian(told.signal) == pytest.approx(np.nanmedian(own.signal), rel=0.15)
    # Pixels of four times the counts have half of the relative noise.
    assert told.counting == pytest.approx(own.counting / 2, rel=0.15)
    assert told.residual < own.residual
