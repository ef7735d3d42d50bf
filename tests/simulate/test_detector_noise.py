from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.simulate.detector import SimulatedDetector

PLAIN = SimulatedDetector(hot_pixels=0, zingers=0.0, offset_gradient_counts=(0.0, 0.0))
SHAPE = (120, 150)


def record(detector: SimulatedDetector, light: float, frame: int = 0) -> np.ndarray:
    counts = detector.expose(np.full(SHAPE, light), detector.static(SHAPE), frame)
    return counts.astype(float)


@pytest.mark.parametrize("light", [0.0, 50.0, 600.0])
def test_noise_is_that_of_counting_and_of_reading(light):
    counts = record(PLAIN, light)
    variance = light + 3.0**2 + 1 / 12
    error = np.sqrt(variance / counts.size)
    assert counts.mean() == pytest.approx(100 + light, abs=5 * error)
    assert counts.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / counts.size))


def test_without_any_noise_the_light_comes_back():
    silent = replace(PLAIN, poisson=False, readout_noise_counts=0.0)
    np.testing.assert_array_equal(record(silent, 321.4), 421)


def test_frames_are_reproducible_and_each_has_its_own_noise():
    np.testing.assert_array_equal(record(PLAIN, 50.0, 7), record(PLAIN, 50.0, 7))
    noise = [
        record(PLAIN, 50.0, 7),
        record(PLAIN, 50.0, 8),
        record(replace(PLAIN, seed=1), 50.0, 7),
    ]
    correlation = np.corrcoef([counts.ravel() for counts in noise])
    assert np.abs(correlation[~np.eye(3, dtype=bool)]).max() < 0.05


def test_the_offset_slopes_across_the_image():
    static = replace(PLAIN, offset_gradient_counts=(8.0, -20.0)).static(SHAPE)
    assert static.mean() == pytest.approx(100)
    np.testing.assert_allclose(static[-1] - static[0], 8.0)
    np.testing.assert_allclose(static[:, -1] - static[:, 0], -20.0)


def test_hot_pixels_stay_and_zingers_do_not():
    detector = replace(PLAIN, hot_pixels=30, zingers=20.0)
    static = detector.static(SHAPE)
    hot = static > 200
    assert hot.sum() == 30
    frames = [record(detector, 0.0, number) for number in range(10)]
    struck = [(counts > 200) & ~hot for counts in frames]
    assert all((counts[hot] > 200).all() for counts in frames)
    assert np.mean([pixels.sum() for pixels in struck]) == pytest.approx(20, abs=6)
    assert (struck[0] & struck[1]).sum() <= 2


def test_the_beam_decays_by_its_share():
    detector = SimulatedDetector(beam_decay=0.2, ring_current_ma=180.0)
    currents = [detector.current_ma(frame, 101) for frame in range(101)]
    assert currents[0] == 180
    assert currents[-1] == pytest.approx(144)
    assert (np.diff(currents) < 0).all()
    assert SimulatedDetector().current_ma(0, 1) == 190


def test_counts_saturate_and_never_wrap_around():
    assert record(PLAIN, 70_000.0).max() == 65_535
    low = replace(PLAIN, offset_counts=0.0, readout_noise_counts=50.0)
    assert record(low, 0.0).max() < 1000


def test_the_point_spread_keeps_the_light():
    light = np.zeros(SHAPE)
    light[60, 70] = 10_000.0
    blurred = replace(PLAIN, poisson=False, readout_noise_counts=0.0, blur_pix=1.5)
    counts = blurred.expose(light, np.zeros(SHAPE), 0).astype(float)
    assert counts.sum() == pytest.approx(10_000, rel=0.01)
    assert (counts * (np.arange(150) - 70.0) ** 2).sum() / 10_000 == pytest.approx(2.25, rel=0.05)


def test_dark_frames_hold_the_offset_alone():
    dark, other = PLAIN.darks(SHAPE, 2)
    assert dark.mean() == pytest.approx(100, abs=0.2)
    assert (dark != other).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"peak_counts": 0.0}, "peak_counts"),
        ({"beam_decay": 1.0}, "beam_decay"),
        ({"readout_noise_counts": -1.0}, "readout_noise"),
        ({"saturation_counts": 70_000}, "saturation_counts is 70000: .*<= 65535"),
    ],
)
def test_impossible_detectors_are_refused(change, words):
    with pytest.raises(ParameterError, match=words):
        SimulatedDetector(**change)
