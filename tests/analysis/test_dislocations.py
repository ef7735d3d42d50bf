"""Dislocations that planted bends need, profiles, distributions and errors of misorientations."""

import numpy as np
import pytest

import recon3d as r3
from recon3d.analysis.dislocations import curvature, dislocation_density
from recon3d.analysis.misorientation import kernel_average_error, kernel_average_misorientation
from recon3d.analysis.profiles import distribution, line_profile
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain

AL = {"sg_no": "225", "unit_cell": "[4.0495, 4.0495, 4.0495, 90, 90, 90]"}


def bent(slope_a=(0, 0, 0), slope_b=(0, 0, 0), error=None, **provenance):
    """Tilts that grow linearly along x, y, z, in degrees per µm, on voxels of 1 x 2 x 0.5 µm."""
    volume = Volume((0.0, 0.0, 0.0), (6.0, 10.0, 4.0), (6, 5, 8))
    place = np.stack(np.meshgrid(*[volume.axis_um(i) for i in range(3)], indexing="ij"), -1)
    orientation = np.stack([place @ slope_a, place @ slope_b], axis=-1)
    one = np.ones(volume.shape, np.float32)
    grain = Grain(volume, one, one > 0, orientation, one, one, provenance=AL | provenance)
    if error is not None:
        object.__setattr__(grain, "orientation_error", np.full(orientation.shape, error))
    return grain


@pytest.mark.parametrize(("handedness", "sign"), [(1, -1), (-1, 1)])
def test_curvature_is_the_slope_of_the_turns(handedness, sign):
    found = curvature(bent((0.01, 0.02, 0.03), (0.04, 0.05, 0.06), handedness=handedness))
    about_z, about_x = -np.radians([0.01, 0.02, 0.03]), sign * np.radians([0.04, 0.05, 0.06])
    for about, expected in ((2, about_z), (0, about_x)):
        np.testing.assert_allclose(found[..., about, :] / expected, 1, rtol=1e-6)
    assert np.isnan(found[..., 1, :]).all()


@pytest.mark.parametrize(
    ("a", "b", "norm"),
    [
        ((0.01, 0, 0), (0, 0, 0), 0.01),
        ((0, 0.01, 0), (0, 0, 0.02), np.hypot(0.01, 0.02)),
        # Twist about both: κxx = κzz = k needs (2k)², opposite ones (2k)² / 2.
        ((0, 0, 0.01), (0.01, 0, 0), 0.02),
        ((0, 0, 0.01), (-0.01, 0, 0), 0.02 / np.sqrt(2)),
    ],
)
def test_the_bound_is_that_of_the_formula_and_no_other_curvature_needs_less(a, b, norm):
    grain = bent(a, b, handedness=1)
    density, error, _ = dislocation_density(grain)
    burgers_m = 4.0495e-10 / np.sqrt(2)
    np.testing.assert_allclose(density, np.radians(norm) * 1e6 / burgers_m, rtol=1e-6)
    assert np.isnan(error).all()
    known = np.nan_to_num(curvature(grain)[3, 2, 4])
    rng = np.random.default_rng(0)
    for _ in range(200):
        full = known.copy()
        full[1] = rng.normal(size=3) * np.radians(0.01)
        alpha = full.T - np.trace(full) * np.eye(3)
        assert np.linalg.norm(alpha) >= np.radians(norm) * (1 - 1e-6)


def test_its_error_is_that_of_many_noisy_grains():
    rng = np.random.default_rng(0)
    grain = bent((0.02, 0.01, 0), (0, 0.01, 0.02), error=0.0005)
    _, error, _ = dislocation_density(grain)
    many = []
    for _ in range(300):
        noisy = bent((0.02, 0.01, 0), (0, 0.01, 0.02))
        noisy.orientation[...] += rng.normal(size=noisy.orientation.shape) * 0.0005
        many.append(dislocation_density(noisy)[0])
    ratio = np.std(many, axis=0) / error
    assert np.median(ratio) == pytest.approx(1, abs=0.1)


def test_its_noise_is_what_a_perfect_crystal_shows():
    rng = np.random.default_rng(0)
    grain = bent(error=0.001)
    many = []
    for _ in range(100):
        noisy = bent()
        noisy.orientation[...] += rng.normal(size=noisy.orientation.shape) * 0.001
        many.append(dislocation_density(noisy).density_per_m2)
    ratio = np.sqrt(np.mean(np.square(many), axis=0)) / dislocation_density(grain).noise_per_m2
    assert np.median(ratio) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("group", "c", "burgers_nm"), [(194, 5, 0.3), (194, 2.8, 0.28), (221, 3, 0.3)]
)
def test_the_burgers_vector_is_the_shortest_translation(group, c, burgers_nm):
    grain = bent((0.01, 0, 0))
    gamma = 120 if group == 194 else 90
    provenance = {"sg_no": group, "unit_cell": [3, 3, c, 90, 90, gamma]}
    object.__setattr__(grain, "provenance", provenance)
    expected = np.radians(0.01) / (1e-3 * burgers_nm) * 1e12
    np.testing.assert_allclose(dislocation_density(grain).density_per_m2, expected, rtol=1e-6)


def test_a_cell_that_does_not_tell_the_burgers_vector_is_asked_for():
    grain = bent((0.01, 0, 0))
    object.__setattr__(grain, "provenance", {"sg_no": 139, "unit_cell": [3, 3, 5, 90, 90, 90]})
    with pytest.raises(ParameterError, match="give burgers_nm"):
        dislocation_density(grain)
    density = dislocation_density(grain, 0.3).density_per_m2
    np.testing.assert_allclose(density, np.radians(0.01) / 0.3e-3 * 1e12, rtol=1e-6)


def test_a_profile_reads_the_voxels_on_the_line():
    grain = bent((0.01, 0, 0), error=0.001)
    found = line_profile(grain, (-2.5, 0, 0.25), (2.5, 0, 0.25), 6)
    np.testing.assert_allclose(found.distance_um, np.arange(6))
    np.testing.assert_allclose(found.orientation_deg[:, 0], 0.01 * np.arange(-2.5, 3), atol=1e-8)
    np.testing.assert_allclose(found.from_start_deg, 0.01 * np.arange(6), atol=1e-8)
    np.testing.assert_allclose(found.orientation_error_deg, 0.001)
    assert np.isnan(found.strain).all()
    assert len(line_profile(grain, (0, 0, 0), (2, 0, 0)).distance_um) == 9  # half voxels of z
    with pytest.raises(ParameterError, match="lies outside"):
        line_profile(grain, (50, 0, 0), (60, 0, 0))
    with pytest.raises(ParameterError, match="two places"):
        line_profile(grain, (1, 0, 0), (1, 0, 0))


def test_a_distribution_passes_over_what_is_not_known():
    values = np.array([1.0, 2.0, np.nan, 3.0, 100.0])
    found = distribution(values, np.array([True, True, True, True, False]), bins=2)
    assert (found.mean, found.median) == (2.0, 2.0)
    np.testing.assert_allclose(found.share, [1 / 3, 2 / 3])
    with pytest.raises(ParameterError, match="no voxel"):
        distribution(values, np.zeros(5, bool))


def test_the_error_of_the_average_is_that_of_many_noisy_grains():
    rng = np.random.default_rng(0)
    tilts = np.cumsum(rng.normal(size=(4, 5, 3, 2)) * 0.02, axis=0)
    tilts[0, 0, 0] = np.nan
    error = np.full(tilts.shape, 0.0005)
    found = kernel_average_error(tilts, error)
    many = [
        kernel_average_misorientation(tilts + rng.normal(size=tilts.shape) * error)
        for _ in range(500)
    ]
    assert np.isnan(found[0, 0, 0])
    ratio = np.std(many, axis=0)[1:] / found[1:]
    np.testing.assert_allclose(ratio, 1, atol=0.15)


def test_public_names_are_listed_and_load():
    assert {"find_cells", "mosaicity", "dislocation_density"} <= set(dir(r3.analysis))
    for name in dir(r3.analysis):
        assert callable(getattr(r3.analysis, name)), name
    with pytest.raises(AttributeError, match="analysis attribute cels"):
        getattr(r3.analysis, "ce" + "ls")
