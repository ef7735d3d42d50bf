"""Fits from coarse to fine: merged pixels, larger voxels, and what they hand on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.model import sizes
from recon3d.reconstruction.model.scan_model import UnknownPixels
from recon3d.reconstruction.model.sizes import (
    Coarse,
    Size,
    may_be_grain,
    merged_scan,
    merged_volume,
    seen_in,
    sizes_of,
)
from recon3d.reconstruction.run import reconstruct


def test_merged_pixels_are_sums_of_blocks(planted):
    store = planted("demo").store
    merged = merged_scan(store, 3)
    assert merged.shape == (*store.shape[:2], 21, 21)
    numbers, frames = store.read_illuminated(2)
    wanted = frames[:, :63, :63].reshape(-1, 21, 3, 21, 3).sum(axis=(2, 4))
    for _ in range(2):
        again, found = merged.read_illuminated(2)
        assert np.array_equal(again, numbers)
        assert found == pytest.approx(wanted)
    assert merged.read_summed(2) == pytest.approx(wanted.sum(axis=0), rel=1e-5)
    assert merged_scan(store, 1) is store


def test_frames_beyond_the_room_are_read_again(planted, monkeypatch):
    merged = merged_scan(planted("demo").store, 2)
    monkeypatch.setattr("recon3d.reconstruction.model.sizes.MOST_BYTES", 1)
    kept, read = merged.read_illuminated(0)[1], merged.read_illuminated(1)[1]
    assert list(merged._lit) == [0]
    assert np.array_equal(merged.read_illuminated(0)[1], kept)
    assert np.array_equal(merged.read_illuminated(1)[1], read)


def test_larger_voxels_begin_at_the_same_corner():
    volume = Volume((1.0, 2.0, 3.0), (5.0, 4.0, 3.0), (5, 4, 3))
    larger = merged_volume(volume, 2)
    assert larger.shape == (3, 2, 2)
    assert larger.voxel_um == pytest.approx((2.0, 2.0, 2.0))
    assert larger.corner_um == pytest.approx(volume.corner_um)


def test_a_point_falls_on_the_same_place_in_merged_pixels(planted):
    scan = planted("demo")
    model = build_model(scan.store, scan.experiment, 1)
    drift = np.random.default_rng(0).normal(size=model.drift_pix.shape)
    model = replace(model, drift_pix=drift)
    merged = seen_in(model, Size(merged_scan(scan.store, 2), scan.experiment))
    point = np.array([1.0, -0.5, 2.0, 1.0])
    # The middle of a pixel of two lies half a pixel beyond that of its first one.
    assert 2 * (merged.affine(3) @ point) + 0.5 == pytest.approx(model.affine(3) @ point)


def test_finer_voxels_share_what_larger_ones_hold():
    shape, inside = (4, 4, 4), np.arange(64)
    volume = np.zeros((64, 2), np.float32)
    volume[inside == 21], volume[inside == 42] = (8.0, 0.0), (1.0, 4.0)
    coarse = Coarse(volume, np.array([3, 5]), inside, shape, 2)
    finer = np.full((512, 2), np.nan, np.float32)
    coarse.filler(np.arange(512), (8, 8, 8))(slice(None), finer)
    assert finer.sum(axis=0) == pytest.approx([9.0, 4.0], rel=1e-5)
    place = finer[:, 1].reshape(8, 8, 8)
    # Voxel (2, 2, 2) of the larger ones: the finer (4 to 5)³ are three quarters in along each axis.
    assert place[4, 4, 4] == place[5, 5, 5] == pytest.approx(4 / 8 * 0.75**3)
    assert place[3, 4, 4] == pytest.approx(4 / 8 * 0.25 * 0.75**2)


def test_finer_voxels_are_looked_for_around_larger_ones():
    occupancy = np.zeros((5, 5, 5), np.float32)
    occupancy[2, 2, 2] = 1
    near = may_be_grain(occupancy, (9, 10, 10), 2)
    assert near.shape == (9, 10, 10)
    assert near.sum() == 6**3
    assert near[2:8, 2:8, 2:8].all()


def test_sizes_follow_voxels_and_passes(planted):
    scan = planted("demo")
    model = build_model(scan.store, scan.experiment, 1)
    many = replace(scan.experiment, volume=replace(scan.experiment.volume, shape=(101, 101, 101)))
    assert [s.experiment.volume.shape[0] for s in sizes_of(model, many)] == [26, 51, 101]
    few = many.with_settings(iterations=7)
    assert [s.experiment.volume.shape[0] for s in sizes_of(model, few)] == [51, 101]
    assert len(sizes_of(model, many.with_settings(iterations=6))) == 1
    assert len(sizes_of(model, scan.experiment)) == 1


def test_a_merged_pixel_is_unknown_where_any_part_is(planted, monkeypatch):
    monkeypatch.setattr(sizes, "FEWEST_VOXELS", 500)
    scan = planted("demo")
    dead = np.zeros((64, 64), bool)
    dead[10, 21] = True
    lit = np.tile(np.array([(3, 0), (64, 62)]), (len(scan.store), 1, 1))
    model = replace(build_model(scan.store, scan.experiment, 1), unknown=UnknownPixels(dead, lit))
    size = sizes_of(model, scan.experiment)[0]
    merged = size.unknown.of(0)
    assert merged.shape == size.store.shape[2:]
    times = 64 // merged.shape[0]
    assert times > 1
    whole = model.unknown.of(0)[: times * len(merged), : times * len(merged)]
    wanted = whole.reshape(len(merged), times, len(merged), times).any(axis=(1, 3))
    assert np.array_equal(merged, wanted)


def test_a_grain_from_coarse_to_fine(planted, monkeypatch):
    monkeypatch.setattr(sizes, "FEWEST_VOXELS", 4000)
    scan, told = planted("demo"), []
    experiment = scan.experiment.with_settings(iterations=7, split_half=False)
    grain = reconstruct(
        scan.store, experiment, show_progress=False, report=lambda *news: told.append(news)
    )
    errors = scan.compare(grain)
    assert errors.median_mdeg < 4
    assert errors.dice > 0.95
    assert grain.residual.size == 7
    assert grain.images["residual"].shape == scan.store.shape[2:]
    passes = [news for news in told if news[0] == "iteration" and news[1]]
    assert [news[1] for news in passes] == list(range(1, 8))
    assert {news[3].shape for news in passes} == {(32, 32, 32, 3)}


def test_what_would_fit_is_named(planted):
    scan = planted("demo")
    with pytest.raises(ParameterError, match=r"about \d+ would fit"):
        reconstruct(
            scan.store,
            scan.experiment.with_settings(align="none"),
            memory_gib=0.001,
            show_progress=False,
        )
