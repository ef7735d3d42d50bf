"""A grain from frames of which pixels were summed is the grain of the frames themselves."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.model.scan_model import ImagePixels, orient
from recon3d.reconstruction.quality.reprojection import model_of, reproject
from recon3d.reconstruction.run import reconstruct
from recon3d.scan.scan import open_scan

ODD = {"rows": 128, "cols": 128, "magnification_pix_per_um": 8.0, "roi": (5, 3, 117, 119)}


@pytest.fixture(scope="module")
def raw_scan(planted):
    """A scan of fine pixels with an odd region of interest, to be binned and cleaned."""
    made = planted("demo", **ODD)
    plan = made.truth.plan
    folder = made.store.path.parent
    scan = open_scan(
        folder, "topotomo_", phi0_deg=plan.phi0_deg, chi0_deg=plan.chi0_deg, show_progress=False
    )
    row, col, rows, cols = plan.roi
    return scan.crop((col + cols // 2, row + rows // 2), (cols, rows))


@pytest.fixture(scope="module")
def cleaned(raw_scan, tmp_path_factory):
    """The scan, binned and cleaned: once for each way to bin."""
    folder = tmp_path_factory.mktemp("binned")
    cleaning = Cleaning(framebg=6, binth=12, min_region_pix=160)

    @cache
    def store(*bins):
        path = folder / "{}x{}.h5".format(*bins)
        return clean(raw_scan.binned(*bins), cleaning, path, show_progress=False)

    return store


def centre_um(grain_mask, volume):
    places = np.argwhere(grain_mask) + 0.5
    edges = np.array(volume.voxel_um)
    return places.mean(axis=0) * edges + np.array(volume.position_um) - np.array(volume.size_um) / 2


@pytest.mark.parametrize("bins", [(2, 2), (3, 3), (2, 1)])
def test_the_grain_is_where_it_is_and_as_it_is(planted, cleaned, bins):
    made = planted("demo", **ODD)
    store = cleaned(*bins)
    assert store.shape[2:] == (117 // bins[0], 119 // bins[1])
    experiment = made.experiment.with_settings(iterations=4, split_half=False)
    grain = reconstruct(store, experiment, show_progress=False)
    found, volume = made.compare(grain), grain.volume
    assert found.dice > 0.97
    assert found.median_mdeg < 2
    truth = made.truth.sample_on(volume).inside
    off = (centre_um(grain.mask, volume) - centre_um(truth, volume)) / volume.voxel_um
    assert np.abs(off).max() < 0.15
    assert grain.mask.sum() == pytest.approx(truth.sum(), rel=0.05)
    axis = made.truth.rotation_center_pix
    assert grain.provenance["rotation_center"] == pytest.approx(axis, abs=0.15)
    model = model_of(grain, store, experiment)
    drift = model.drift_pix[model.projections] * model.pixels.size
    np.testing.assert_allclose(drift, grain.projections["drift"], atol=1e-9)
    middle = int(model.projections[4])
    measured, expected = model.summed(middle), reproject(grain, model, middle).sum(axis=0)
    assert np.corrcoef(measured.ravel(), expected.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("flip", ["none", "rows", "columns", "both"])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("bins", [(1, 1), (2, 2), (4, 3)])
def test_a_point_lands_in_the_bin_that_holds_its_pixel(planted, cleaned, flip, transpose, bins):
    """However images are turned, the middle of a bin is the mean of its detector pixels."""
    made = planted("demo", **ODD)
    store = cleaned(*bins)
    detector = replace(
        made.experiment.detector, flip=flip, transpose=transpose, rotation_center_pix=50.0
    )
    experiment = replace(made.experiment, detector=detector)
    plain = build_model(made.store, experiment, 1)
    binned = build_model(store, experiment, 1)
    row_of, col_of = np.indices(made.store.shape[2:]).astype(np.float32)
    high, wide = store.shape[2:]
    blocks = np.stack([row_of, col_of])[:, : high * bins[0], : wide * bins[1]]
    middles = blocks.reshape(2, high, bins[0], wide, bins[1]).mean(axis=(2, 4))
    # What recorded pixel each pixel of the oriented images shows, before and after binning.
    recorded, shown = orient(np.stack([row_of, col_of]), detector), orient(middles, detector)
    point = np.array([1.3, -0.7, 0.4, 1.0])
    fine = plain.affine(3) @ point
    coarse = binned.affine(3) @ point
    np.testing.assert_allclose(_at(shown, coarse), _at(recorded, fine), atol=1e-3)
    assert binned.rotation_center == pytest.approx(50)
    assert binned.pixel_um == tuple(edge / 8.0 for edge in (bins[::-1] if transpose else bins))
    pixels = ImagePixels.of(store, detector)
    assert pixels.detector_col(pixels.col_of(17.25)) == pytest.approx(17.25)


def _at(images, place):
    """Value of smooth images at a place between pixels; they are linear along each axis."""
    slopes = [images[:, 1, 0] - images[:, 0, 0], images[:, 0, 1] - images[:, 0, 0]]
    return images[:, 0, 0] + place[0] * slopes[0] + place[1] * slopes[1]
