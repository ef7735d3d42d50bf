"""Which orientation bins a scan has seen."""

from types import SimpleNamespace

import numpy as np

from recon3d.geometry import TiltOrigin
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.model import scanned


def axis(count):
    return 0.01 * (np.arange(count) - count // 2)


def test_bins_whose_frames_are_dark_in_a_fifth_of_the_projections_are_cut_off(monkeypatch):
    share = np.zeros((15, 11, 1))
    share[6:9, 5] = 0.81
    share[3, 5] = share[7, 8] = 0.79
    bins = OrientationBins(axis(15), axis(11), np.zeros(1))
    monkeypatch.setattr(scanned, "_all_bins", lambda *_: bins)
    monkeypatch.setattr(scanned, "_illuminated_share", lambda *_: share)
    found = scanned.orientation_bins(None, 0.01)
    # Two bins more at either end of what is seen.
    assert np.array_equal(found.a_deg, bins.a_deg[4:11])
    assert np.array_equal(found.b_deg, bins.b_deg[3:8])


def test_a_frame_is_lit_from_a_hundredth_of_the_brightest_on(monkeypatch):
    # Ten projections of four frames; three bins, each nearest to one frame where it was measured.
    counts = np.tile([100.0, 1.1, 0.9, 50.0], (10, 1))
    frames = np.tile([1, 2, 3], (10, 1))
    frames[:3, 1] = 0  # bin 1 is lit in three of ten
    frames[1:, 2] = -1  # bin 2 was measured once, in less than a fifth of the projections
    model = SimpleNamespace(store=SimpleNamespace(integrated=counts), projections=np.arange(10))
    monkeypatch.setattr(scanned, "frames_of_bins", lambda *_: frames)
    bins = OrientationBins(axis(3), np.zeros(1), np.zeros(1))
    share = scanned._illuminated_share(model, bins)
    assert share.shape == (3, 1, 1)
    assert share.ravel().tolist() == [1, 0.3, 0]
    frames[:2, 2] = 3  # twice, in just a fifth
    assert scanned._illuminated_share(model, bins).ravel().tolist() == [1, 0.3, 1]


def test_steps_are_those_of_what_was_scanned():
    axes = [
        SimpleNamespace(name="mu", values_deg=np.array([0.1, 0.14])),
        SimpleNamespace(name="gamma", values_deg=np.zeros(1)),
    ]
    store = SimpleNamespace(kind="rocking", axes=axes)
    np.testing.assert_allclose(scanned.setting_steps_deg(store), (0.04, np.inf))
    store.kind = "tilts"
    np.testing.assert_allclose(scanned.setting_steps_deg(store), (0.04, 0.04))


def test_strain_is_counted_from_the_middle_of_the_axis_not_of_the_outermost_readings():
    """Two of 27 readings of 2θ are 0.2 and 0.1 mdeg off: 5e-6 of strain at 10°."""
    planned = np.array([20.0, 20.01, 20.02])
    read = np.tile(planned, (3, 3))
    read[0, 0] -= 2e-4
    read[2, 8] += 1e-4
    still = np.zeros((3, 9))
    motors = SimpleNamespace(
        omega_deg=still, base_tilt_deg=still, chi_deg=still, phi_deg=still, two_theta_deg=read
    )
    axes = [SimpleNamespace(name="two_theta", values_deg=planned)]
    origin = TiltOrigin(0.0, 0.0, 0.0, 0.0)
    store = SimpleNamespace(motors=motors, axes=axes, origin=origin)
    settings = scanned.settings_of_frames(store, None, 1, 10.0)
    np.testing.assert_allclose(np.median(settings.two_theta_deg[:, 1::3]), 0, atol=1e-9)
