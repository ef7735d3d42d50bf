"""Frames cleaned one by one, and what is said of regions and kept signal."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from recon3d.cleaning.frame_preview import FramePreview
from recon3d.cleaning.overview import binned
from recon3d.cleaning.pipeline import clean
from recon3d.cleaning.region import (
    ProjectionImages,
    share_outside,
    signal_of,
    suggest_framebg,
    suggest_region,
)
from recon3d.config.cleaning import Cleaning
from recon3d.readers.source import Roi

CLEANING = Cleaning(framebg=5, binth=30, min_region_pix=30)


@pytest.mark.parametrize("normalize", ["auto", "total", "none"])
def test_single_frames_are_those_of_the_cleaned_scan(scan, tmp_path, normalize):
    cleaning = replace(CLEANING, normalize=normalize)
    store = clean(scan, cleaning, tmp_path / "scan.h5", show_progress=False)
    preview = FramePreview(scan)
    for k in (scan.shape[0] - 1, 0, 2):
        preview.prepare(k, cleaning)
        assert preview.is_exact(k, cleaning)
        expected = store.read_projection(k)
        assert expected.any()
        for frame in range(scan.shape[1]):
            after = preview.steps(k, frame, cleaning).after
            np.testing.assert_allclose(after, expected[frame], rtol=1e-4, atol=1e-3)


def test_before_it_is_prepared_a_projection_borrows_the_dark_of_another(scan):
    preview = FramePreview(scan)
    preview.prepare(0, CLEANING)
    borrowed = preview.steps(1, 3, CLEANING)
    assert not preview.is_exact(1, CLEANING)
    np.testing.assert_array_equal(borrowed.pedestal, preview.steps(0, 3, CLEANING).pedestal)
    np.testing.assert_array_equal(borrowed.before, scan.read_projection(1)[3])


def test_the_signal_kept_is_that_of_the_planted_grain(scan):
    """Of a frame of known light, the share inside the mask is known."""
    preview = FramePreview(scan)
    *_, kept = preview.kept(0, CLEANING)
    # Three frames with a disk of radius 9 of 300 counts each.
    light = 3 * 300 * np.pi * 9**2
    assert kept.total == pytest.approx(light, rel=0.1)
    assert 0.9 < kept.inside / kept.total < 1.02


def test_the_noise_is_that_of_the_counts(scan):
    # Poisson noise about 90 counts, and that of the mean of two dark frames.
    assert FramePreview(scan).noise(0, CLEANING) == pytest.approx(np.sqrt(30 * 1.5), rel=0.25)


def planted(centre, radius=8.0, frames=10, shape=(80, 100)):
    rng = np.random.default_rng(5)
    row, col = np.mgrid[: shape[0], : shape[1]]
    disk = 40.0 * (np.hypot(row - centre[0], col - centre[1]) < radius)
    stack = rng.poisson(100 + disk * (np.arange(frames) % 2)[:, None, None]).astype(np.float32)
    stack[:, 3, 90] += 5000
    return ProjectionImages(
        0, stack.sum(axis=0), stack.max(axis=0), stack.min(axis=0), frames
    ), disk > 0


def test_the_signal_is_found_and_the_hot_pixel_is_not():
    images, truth = planted((40, 30))
    found = signal_of(images) > 0
    assert not found[3, 90]
    grown = ndimage.binary_dilation(truth, iterations=4)
    assert not np.any(found & ~grown)
    assert np.mean(found[truth]) > 0.95


def test_the_suggested_region_and_rim_fit_the_light():
    signals = [signal_of(planted(centre)[0]) for centre in ((40, 30), (44, 60))]
    roi = suggest_region(signals, 6)
    # The disks reach from row 32 to 52 and from column 22 to 68.
    assert roi.row == pytest.approx(32 - 6 - 2, abs=2)
    assert roi.row + roi.rows == pytest.approx(52 + 6 + 1, abs=3)
    assert roi.col == pytest.approx(22 - 6 - 2, abs=2)
    assert roi.col + roi.cols == pytest.approx(68 + 6 + 1, abs=3)
    assert share_outside(signals, roi) == [0, 0]
    rim = suggest_framebg(signals, roi)
    assert 3 <= rim <= 6
    assert suggest_framebg(signals, Roi(40, 30, 20, 20)) == 0
    half = share_outside(signals, Roi(0, 0, 80, 30))
    assert half[0] == pytest.approx(0.5, abs=0.05)
    assert half[1] == 1


def test_without_light_the_whole_frame_is_suggested():
    nothing = np.zeros((40, 50), np.float32)
    assert suggest_region([nothing], 5) == Roi(0, 0, 40, 50)
    assert share_outside([nothing], Roi(0, 0, 5, 5)) == [0]


def test_binned_images_keep_their_mean():
    image = np.arange(48, dtype=np.float32).reshape(6, 8)
    small, size = binned(image, 4)
    assert size == 2
    assert small[1, 2] == image[2:4, 4:6].mean()
    assert binned(image, 8) == (image, 1) or binned(image, 8)[1] == 1
