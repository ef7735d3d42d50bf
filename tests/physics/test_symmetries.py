"""What must not change, or must change in a known way, whatever the grain and the scan."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.files.store import open_store
from recon3d.geometry import ProjectionGeometry, turn_to_laboratory
from recon3d.projection.operator import IlluminatedPixels, Projector
from recon3d.projection.weights import (
    Acceptance,
    FrameSettings,
    Turning,
    frame_weights,
    scaled_settings,
)
from recon3d.reconstruction.run import reconstruct
from recon3d.scan.scan import open_scan
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import Steps
from recon3d.simulate.writers.edf_scan import simulate_scan

ANGLES = st.floats(-180, 180)
SIGNS = st.sampled_from([1, -1])
SHAPE = (41, 43)
PIXELS = IlluminatedPixels.from_mask(np.ones(SHAPE, bool))
STEPS = np.arange(-3, 4) * 0.03
FRAMES = FrameSettings(
    *(grid.reshape(1, -1) for grid in np.meshgrid(STEPS, STEPS)), np.zeros((1, 49))
)
ACCEPTANCE = Acceptance(0.016, 0.03)


def grain(seed: int, count: int = 30):
    """Voxels in a ball of 6 µm, their tilts (a, b) and how much each scatters."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(count, 3))
    points *= 6 * random.uniform(size=(count, 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    return points, random.uniform(-0.05, 0.05, (2, count)), random.uniform(1, 9, count)


def geometry(sense: int = 1) -> ProjectionGeometry:
    return ProjectionGeometry(10.3, 2.5, 20.3, 21.1, omega_sense=sense)


def frames_of(points, tilts, amounts, omega_deg, handedness, sense=1):
    """Frames of one projection, every voxel an orientation of its own: (frames, pixels)."""
    turned = Turning(handedness).settings_of(np.stack([*tilts, np.zeros(len(points))]), omega_deg)
    weights = frame_weights(*scaled_settings(FRAMES.of(0), turned, ACCEPTANCE))
    volume = np.diag(amounts).astype(np.float32)
    images = Projector(points).forward(volume, geometry(sense).affine(omega_deg), PIXELS)
    return np.asarray(weights @ images[:-1].T, float)


def turned_about_g(points, angle_deg):
    """Turn points about y so that they stand at ω where they stood at ω + angle."""
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    x, y, z = points.T
    return np.stack([cosine * x + sine * z, y, -sine * x + cosine * z], axis=1)


@settings(max_examples=40)
@given(seed=st.integers(0, 99), omega=ANGLES, angle=ANGLES, handedness=SIGNS)
def test_turning_grain_and_scan_against_each_other_changes_nothing(seed, omega, angle, handedness):
    points, tilts, amounts = grain(seed)
    turned_tilts = np.stack(turn_to_laboratory(*tilts, angle, handedness))
    first = frames_of(points, tilts, amounts, omega + angle, handedness)
    second = frames_of(
        np.ascontiguousarray(turned_about_g(points, angle)),
        turned_tilts,
        amounts,
        omega,
        handedness,
    )
    np.testing.assert_allclose(second, first, atol=2e-3)
    assert first.max() > 0.1


@settings(max_examples=40)
@given(seed=st.integers(0, 99), omega=ANGLES)
def test_the_other_handedness_mirrors_b(seed, omega):
    a, b = grain(seed)[1]
    mu, gamma = turn_to_laboratory(a, b, omega, +1)
    mirrored_mu, mirrored_gamma = turn_to_laboratory(a, -b, omega, -1)
    np.testing.assert_allclose(mirrored_mu, mu, atol=1e-15)
    np.testing.assert_allclose(mirrored_gamma, -gamma, atol=1e-15)


@settings(max_examples=40)
@given(seed=st.integers(0, 99), omega=ANGLES, handedness=SIGNS, split=st.integers(1, 29))
def test_frames_of_parts_add_up_to_those_of_the_whole(seed, omega, handedness, split):
    points, tilts, amounts = grain(seed)
    whole = frames_of(points, tilts, amounts, omega, handedness)
    parts = [
        frames_of(
            np.ascontiguousarray(points[part]), tilts[:, part], amounts[part], omega, handedness
        )
        for part in (slice(None, split), slice(split, None))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=1e-4, atol=1e-4)


@settings(max_examples=40)
@given(seed=st.integers(0, 99), omega=ANGLES, factor=st.floats(1e-3, 1e6))
def test_frames_grow_with_what_scatters(seed, omega, factor):
    points, tilts, amounts = grain(seed)
    first = frames_of(points, tilts, amounts, omega, 1)
    scaled = frames_of(points, tilts, amounts * factor, omega, 1)
    np.testing.assert_allclose(scaled, factor * first, rtol=1e-3, atol=1e-3 * factor)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A cleaned scan of a small grain, and its experiment with all that is known given."""
    folder = tmp_path_factory.mktemp("symmetries")
    plan = replace(
        demo_plan(),
        omega_deg=tuple(range(0, 180, 15)),
        mu=Steps(0.064, 5),
        gamma=Steps(0.064, 5),
        rows=40,
        cols=40,
        magnification_pix_per_um=3.0,
    )
    phantom = make_phantom("gradient", size_um=7.0, spread_deg=0.04, seed=2)
    simulate_scan(folder, phantom, plan, voxels=14, show_progress=False)
    scan = open_scan(folder, "topotomo_", phi0_deg=-3.5, chi0_deg=1.2, show_progress=False)
    cleaning = Cleaning(framebg=4, binth=12, min_region_pix=20)
    store = clean(scan, cleaning, folder / "scan.h5", show_progress=False)
    experiment = Experiment.from_ini(folder / "experiment.ini").with_settings(
        method="backprojection",
        align="none",
        handedness=1,
        turning_center_deg=plan.turning_center_deg,
    )
    return store, experiment


def test_brighter_frames_change_no_orientation(small, tmp_path):
    store, experiment = small
    first = reconstruct(store, experiment, show_progress=False)
    brighter = tmp_path / "brighter.h5"
    brighter.write_bytes(store.path.read_bytes())
    with h5py.File(brighter, "r+") as file:
        for name in ("frames", "summed", "integrated"):
            file[f"entry/data/{name}"][...] = 8 * file[f"entry/data/{name}"][()]
        made = file["entry/provenance"].attrs
        made["cleaning"] = made["cleaning"].replace('"binth": 12', '"binth": 96')
        del made["_text_sums"]
    second = reconstruct(open_store(brighter), experiment, show_progress=False)
    assert first.mask.sum() > 50
    assert np.array_equal(second.mask, first.mask)
    np.testing.assert_allclose(second.orientation, first.orientation, atol=1e-6)
    np.testing.assert_allclose(second.completeness, first.completeness, atol=1e-6)
