"""What frames say of a grain in merged pixels and in those of the scan."""

import numpy as np
import pytest

from recon3d.projection.bins import OrientationList
from recon3d.projection.operator import IlluminatedPixels, Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.model.sizes import Size, merged_scan, seen_in
from recon3d.reconstruction.quality.evidence import far_too_bright, look_at_frames


def test_merged_pixels_tell_signal_and_columns_of_the_scan(planted):
    scan = planted("demo")
    volume = scan.experiment.volume
    truth = scan.truth.sample_on(volume)
    inside = truth.inside.ravel()
    tilts = [values.ravel()[inside] for values in (truth.a_deg, truth.b_deg)]
    voxels = OrientedVoxels(
        Projector(voxel_centres_um(volume)[inside], volume.voxel_um),
        OrientationList(*tilts, np.zeros(inside.sum())),
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


def test_a_rim_that_is_a_pixel_off_is_no_zinger():
    """1000 counts where none are predicted: beside a pixel of 1000 a rim, elsewhere a zinger."""
    pixels = IlluminatedPixels.from_mask(np.ones((4, 4), bool))
    predicted, measured = np.zeros((2, 4, 4), np.float32)
    predicted[:, 0] = 1000
    measured[0, 1], measured[1, 3], measured[2, 1] = 1000, 1000, 1300
    as_rows = [np.append(part.ravel(), 0)[:, None] for part in (measured - predicted, predicted)]
    far = far_too_bright(*as_rows, pixels, threshold=12.0)
    assert np.flatnonzero(far[:-1]).tolist() == [7, 9]
