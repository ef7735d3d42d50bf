"""Cleaning of a whole scan into a store."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from one_projection import clean_projection

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.counts import SAMPLED_FRAMES
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.files.numpy_arrays import ArrayWriter
from recon3d.files.store import open_store

CLEANING = Cleaning(framebg=8, binth=40)


def run(scan, tmp_path, cleaning=CLEANING, **options):
    return clean(scan, cleaning, tmp_path / "scan.h5", show_progress=False, **options)


def test_the_store_holds_every_projection_as_it_is_cleaned_alone(scan, tmp_path):
    rng = np.random.default_rng(0)
    background = rng.uniform(10, 20, scan.source.frame_shape).astype(np.float32)
    bad = rng.random(scan.source.frame_shape) < 0.01
    cleaned = run(scan, tmp_path, background=background, bad_pixels=bad)
    calibration = Calibration.for_roi(scan.roi, scan.source.frame_shape, background, bad_pixels=bad)
    normalizer, currents = Normalizer("auto"), scan.motors.ring_current_ma
    for k in range(scan.shape[0]):
        expected = clean_projection(
            scan.read_projection(k),
            scan.valid[k],
            currents[k],
            CLEANING,
            calibration=calibration,
            normalizer=normalizer,
        )
        np.testing.assert_array_equal(cleaned.read_projection(k), expected)
    assert ((cleaned.integrated > 0).sum(axis=1) == 3).all()


def test_frames_are_counts_of_the_first_projection_s_beam(scan, tmp_path):
    cleaned = run(scan, tmp_path)
    illuminated = cleaned.integrated[:, [3, 4, 7]]
    np.testing.assert_allclose(illuminated, illuminated[0].mean(), rtol=0.06)
    raw = run(scan, tmp_path, replace(CLEANING, normalize="none"))
    assert raw.integrated[3, 3] < 0.96 * raw.integrated[0, 3]


def test_what_was_done_is_kept(scan, tmp_path):
    cleaned = run(scan, tmp_path, provenance={"command": "getdata", "poi": [35, 30]})
    kept = cleaned.provenance
    assert kept["command"] == "getdata"
    assert kept["poi"] == [35, 30]
    assert kept["cleaning"]["framebg"] == 8
    assert kept["cleaning"]["hot_limit"] is None
    assert kept["normalized_by"] == "current"
    assert kept["reference_current_ma"] == pytest.approx(scan.motors.ring_current_ma[0].mean())
    assert cleaned.kind == scan.kind == "mosaicity"
    assert cleaned.roi == scan.roi
    assert cleaned.origin == scan.origin
    assert [axis.name for axis in cleaned.axes] == ["mu", "gamma"]
    assert cleaned.source_files[1, 2] == scan.source.name(int(scan.slots[1, 2]))


def test_without_currents_projections_go_to_one_total(scan, tmp_path):
    motors = replace(scan.source.motors, ring_current_ma=np.full(36, np.nan))
    scan = replace(scan, source=replace(scan.source, motors=motors), motors=motors.at(scan.slots))
    cleaned = run(scan, tmp_path)
    assert cleaned.provenance["normalized_by"] == "total"
    totals = cleaned.integrated.sum(axis=1)
    np.testing.assert_allclose(totals, totals[0], rtol=0.03)
    with pytest.raises(DataError, match="ring current"):
        run(scan, tmp_path, replace(CLEANING, normalize="current"))


def test_each_raw_frame_is_read_once_also_for_the_arrays(scan, tmp_path):
    with ArrayWriter(scan, tmp_path, "all") as sink:
        cleaned = run(scan, tmp_path, sink=sink)
    *looked_at, last = np.split(np.array(scan.source.read_log), [-36])
    assert sorted(last) == list(range(36))
    assert looked_at[0].size <= SAMPLED_FRAMES
    final = np.load(tmp_path / "dataarray_final.npy", mmap_mode="r")
    raw = np.load(tmp_path / "dataarray.npy", mmap_mode="r")
    unmasked = np.load(tmp_path / "cleaning_img.npy", mmap_mode="r")
    assert final.shape == raw.shape == unmasked.shape == (3, 3, 4, 48, 50)
    for k in range(4):
        frames = final[:, :, k].reshape(9, 48, 50)
        np.testing.assert_array_equal(frames, cleaned.read_projection(k))
        np.testing.assert_array_equal(raw[:, :, k].reshape(9, 48, 50), scan.read_projection(k))
    illuminated = final > 0
    np.testing.assert_array_equal(unmasked[illuminated], final[illuminated])
    assert (unmasked[~illuminated] > 0).any()


ROW, COL = np.mgrid[:60, :70]
DISC = np.hypot(ROW - 30, COL - 35) < 9
"""The middle of the region of the frames."""
RIM = np.hypot(ROW - 30, COL - 13) < 4
"""Columns 10 to 16: within framebg = 8 of the region's left edge."""
LONE = (ROW % 10 == 5) & (COL % 10 == 5)
SPECKS = (ROW % 6 < 2) & (COL % 6 < 2)
"""A ninth of all pixels; the lowest frame background beneath one is 6.5 of 90 counts."""


def with_light(scan, light, *, steady=False):
    """The same scan, of 7 counts everywhere and some in every third frame, or in all."""
    frames = np.full((36, 60, 70), 7, np.uint16)
    frames[:: 1 if steady else 3] += light.astype(np.uint16)
    return replace(scan, source=replace(scan.source, frames=frames))


@pytest.mark.parametrize(
    ("light", "steady", "changes", "message"),
    [
        (0 * DISC, True, {}, r"has 7 counts as it was read, and binth is 40: was there no beam"),
        (20 * DISC, False, {}, r"has 27 counts as it was read, and binth is 40: was there no beam"),
        (
            120 * DISC,
            True,
            {},
            r"has 127 counts as it .*, but 0 before the mask, .*40: do all frames look like",
        ),
        (
            500 * LONE,
            False,
            {},
            r"has 507 counts as it .*, but 0 before .*single ones \(--hot-pixels 0",
        ),
        (
            90 * RIM,
            False,
            {"hot_pixels": 0.0},
            r"has 97 counts as it was read, but 0 before .*framebg = 8 cover",
        ),
        (
            90 * SPECKS,
            False,
            {"close_radius_pix": 0, "hot_pixels": 0.0},
            r"but 83\.5 before the mask, and binth is 40: \d+ pixels exceed it, but no 100 of them",
        ),
    ],
)
def test_the_step_that_leaves_nothing_is_named(scan, tmp_path, light, steady, changes, message):
    scan = with_light(scan, light, steady=steady)
    cleaning = replace(CLEANING, normalize="none", **changes)
    with pytest.raises(DataError, match=f"all frames are dark after cleaning: in the.*{message}"):
        run(scan, tmp_path, cleaning)
    assert not list(tmp_path.iterdir())


def test_of_bins_the_counts_are_those_of_bins(scan, tmp_path):
    binned = with_light(scan, 20 * DISC).binned(2)
    with pytest.raises(DataError, match=r"has 108 counts .* 160 in a bin of 4 pixels: was"):
        run(binned, tmp_path)


def test_missing_frames_stay_dark_and_are_known(scan, tmp_path):
    slots = scan.slots.copy()
    slots[1, 3] = slots[2, 0] = -1
    part = replace(scan, slots=slots, motors=scan.source.motors.at(slots))
    cleaned = run(part, tmp_path)
    assert not cleaned.valid[1, 3]
    assert cleaned.integrated[1, 3] == 0
    assert np.isnan(cleaned.motors.base_tilt_deg[1, 3])
    assert cleaned.source_files[1, 3] == ""


def test_a_projection_with_too_few_frames_is_told_once(scan, tmp_path):
    slots = scan.slots.copy()
    slots[2, :7] = -1
    with pytest.warns(Recon3DWarning, match=r"1 of 4 projections \(first at omega = 4°\)") as told:
        run(replace(scan, slots=slots), tmp_path)
    assert len(told) == 1


def test_a_scan_without_signal_is_an_error_that_leaves_no_file(scan, tmp_path):
    with pytest.raises(DataError, match=r"48 x 50 .*binth is 5000"):
        run(scan, tmp_path, replace(CLEANING, binth=5000))
    assert list(tmp_path.iterdir()) == []


def test_a_broken_frame_stops_the_run_and_leaves_no_file(scan, tmp_path):
    scan.source.broken = 30
    with (
        pytest.raises(OSError, match="frame_0030"),
        ArrayWriter(scan, tmp_path, "all") as sink,
    ):
        run(scan, tmp_path, sink=sink)
    assert list(tmp_path.iterdir()) == []


def test_wrong_calibrations_and_cornices_are_refused_before_any_frame_is_read(scan, tmp_path):
    with pytest.raises(ParameterError, match=r"background .*\(9, 9\).*\(60, 70\).*\(48, 50\)"):
        run(scan, tmp_path, background=np.zeros((9, 9)))
    with pytest.raises(ParameterError, match="framebg is 24"):
        run(scan, tmp_path, replace(CLEANING, framebg=24))
    assert scan.source.read_log == []


def test_memory_does_not_grow_with_the_number_of_projections(scan, tmp_path):
    def peak(of):
        tracemalloc.start()
        run(of, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    slots = np.tile(scan.slots, (8, 1))
    many = replace(
        scan, slots=slots, motors=scan.source.motors.at(slots), omega_deg=np.arange(32.0)
    )
    run(scan, tmp_path)
    projection = 4 * int(np.prod(scan.shape[1:]))
    assert peak(many) - peak(scan) < 2 * projection
    assert peak(many) < 12 * projection


def test_the_store_opens_again(scan, tmp_path):
    cleaned = run(scan, tmp_path)
    again = open_store(cleaned.path)
    np.testing.assert_array_equal(again.integrated, cleaned.integrated)
