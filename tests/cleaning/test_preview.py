"""Frames cleaned one by one, and what is said of the signal that is kept."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.cleaning.frame_preview import FramePreview
from recon3d.cleaning.overview import binned
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning

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


def test_a_frame_is_read_once_while_only_the_mask_changes(scan, monkeypatch):
    changed = [
        (0, 3, CLEANING),
        (0, 3, replace(CLEANING, binth=90)),
        (0, 3, replace(CLEANING, framebg=2, min_region_pix=5)),
        (0, 3, replace(CLEANING, dark=False)),
        (0, 3, replace(CLEANING, hot_pixels=0)),
        (0, 4, CLEANING),
        (1, 4, CLEANING),
    ]
    preview, read = FramePreview(scan), []
    monkeypatch.setattr(
        preview,
        "raw",
        lambda k, frame: read.append((k, frame)) or FramePreview.raw(preview, k, frame),
    )
    for k in (0, 1):
        preview.prepare(k, CLEANING)
    for asked in changed:
        fresh = FramePreview(scan)
        fresh.prepare(asked[0], asked[2])
        preview.prepare(asked[0], asked[2])
        np.testing.assert_array_equal(preview.steps(*asked).after, fresh.steps(*asked).after)
    assert read == [(0, 3), (0, 3), (0, 3), (0, 4), (1, 4)]


def test_the_signal_kept_is_that_of_the_planted_grain(scan):
    """Of a frame of known light, the share inside the mask is known."""
    preview = FramePreview(scan)
    *_, kept = preview.kept(0, CLEANING)
    # Three frames with a disk of radius 9 of 300 counts each.
    light = 3 * 300 * np.pi * 9**2
    assert kept.total == pytest.approx(light, rel=0.1)
    assert 0.9 < kept.inside / kept.total < 1.02


def test_the_noise_is_that_of_the_counts(scan):
    # Poisson noise about 30 of 90 counts, and that of the mean of two dark frames.
    found = FramePreview(scan).signal(0, CLEANING)
    assert found.noise == pytest.approx(np.sqrt(30 * 1.5), rel=0.1)


def test_the_signal_above_the_noise_is_the_planted_grain(scan):
    above = FramePreview(scan).signal(0, CLEANING).above
    assert (above.sum(axis=(1, 2)) > 0).tolist() == [n in (3, 4, 7) for n in range(9)]
    row, col = np.nonzero(above[3])
    assert (row + 6 - 33).max() <= 13
    assert (col + 10 - 35).max() <= 13
    assert row.size == pytest.approx(np.pi * 10**2, rel=0.25)


def test_binned_images_keep_their_mean():
    image = np.arange(48, dtype=np.float32).reshape(6, 8)
    small, size = binned(image, 4)
    assert size == 2
    assert small[1, 2] == image[2:4, 4:6].mean()
    same, size = binned(image, 8)
    assert size == 1
    np.testing.assert_array_equal(same, image)
