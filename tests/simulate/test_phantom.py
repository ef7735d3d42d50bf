from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from recon3d.errors import ParameterError
from recon3d.simulate.phantom import (
    PHANTOMS,
    Bend,
    Cells,
    Constant,
    Gradient,
    Inclusion,
    Phantom,
    Polyhedron,
    irregular_polyhedron,
    make_phantom,
)

CUBE = Polyhedron(
    ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)),
    (1.0, 2.0, 1.0, 1.0, 1.0, 1.0),
)


def grid(radius: float, points: int = 61) -> list[np.ndarray]:
    axis = np.linspace(-radius, radius, points)
    return list(np.meshgrid(axis, axis, axis, indexing="ij"))


def test_fields_have_the_values_that_their_formulas_say():
    assert Constant(2.5).at(1.0, 2.0, 3.0) == 2.5
    assert Gradient((1.0, -2.0, 0.5)).at(1.0, 2.0, 4.0) == pytest.approx(-1.0)
    assert Bend(0.3, (0.0, 1.0, 0.0)).at(9.0, 2.0, 9.0) == pytest.approx(1.2)
    assert Inclusion((1.0, 0.0, 0.0), 0.5, -4.0).at(1.4, 0.0, 0.0) == -4.0
    assert Inclusion((1.0, 0.0, 0.0), 0.5, -4.0).at(1.6, 0.0, 0.0) == 0.0


def test_sums_of_fields_add_up_and_broadcast():
    x = np.array([0.0, 1.0, 2.0])[:, None]
    total = (Constant(1.0) + Gradient((2.0, 0.0, 0.0)) + Constant(0.5)).at(x, np.zeros(4), 0.0)
    assert total.shape == (3, 4)
    np.testing.assert_allclose(total[:, 0], [1.5, 3.5, 5.5])


def test_cells_take_the_value_of_the_nearest_seed():
    cells = Cells(((0.0, 0.0, 0.0), (4.0, 0.0, 0.0)), (10.0, 20.0))
    np.testing.assert_array_equal(cells.at(np.array([1.9, 2.1, 9.0]), 0.0, 0.0), [10, 20, 20])


def test_polyhedron_holds_what_is_behind_every_face():
    assert CUBE.holds(-1.9, 0.9, -0.9)
    assert not CUBE.holds(1.1, 0.0, 0.0)
    assert CUBE.radius_um == pytest.approx(np.sqrt(4 + 1 + 1))


def test_a_grain_without_a_size_is_refused():
    with pytest.raises(ParameterError, match="positive size"):
        irregular_polyhedron(0.0, np.random.default_rng(0))


@given(seed=st.integers(0, 10_000), size=st.floats(0.5, 50.0))
@settings(max_examples=30, deadline=None)
def test_irregular_polyhedra_just_fit_their_sphere(seed, size):
    shape = irregular_polyhedron(size, np.random.default_rng(seed))
    assert shape.radius_um == pytest.approx(size / 2)
    assert ConvexHull(shape.vertices_um).volume > 0.15 * np.pi / 6 * size**3


@pytest.mark.parametrize("seed", range(4))
def test_irregular_polyhedra_are_unlike_their_mirror_images(seed):
    inside = irregular_polyhedron(2.0, np.random.default_rng(seed)).holds(*grid(1.0))
    for axis in range(3):
        assert (inside & np.flip(inside, axis)).sum() / inside.sum() < 0.93


@pytest.mark.parametrize("name", PHANTOMS)
def test_named_grains_keep_within_their_spread_and_use_it(name):
    phantom = make_phantom(name, size_um=8.0, spread_deg=0.05, seed=5)
    sample = phantom.sample(*grid(4.0))
    tilt = np.hypot(sample.a_deg, sample.b_deg)[sample.density > 0]
    assert tilt.max() <= 0.05 + 1e-12
    assert tilt.max() > 0.025


def test_only_the_strained_grain_is_strained():
    for name in PHANTOMS:
        sample = make_phantom(name, strain=2e-3, seed=1).sample(*grid(6.0))
        largest = np.abs(sample.strain[sample.density > 0]).max()
        assert (1e-3 < largest <= 2e-3) if name == "strained" else largest == 0


def test_subgrains_are_seven_distinct_tilts():
    sample = make_phantom("subgrains", seed=2).sample(*grid(6.0))
    inside = sample.density > 0
    tilts = np.unique(np.column_stack((sample.a_deg[inside], sample.b_deg[inside])), axis=0)
    assert len(tilts) == 7
    apart = np.linalg.norm(tilts[:, None] - tilts, axis=2)[~np.eye(7, dtype=bool)]
    assert apart.min() > 0.02


def test_density_is_zero_outside_and_the_position_moves_everything():
    still = Phantom(CUBE, a_deg=Gradient((1.0, 0.0, 0.0)), density=Constant(0.7))
    moved = Phantom(CUBE, still.a_deg, density=still.density, position_um=(5.0, -3.0, 2.0))
    here, there = still.sample(0.5, 0.2, -0.3), moved.sample(5.5, -2.8, 1.7)
    assert here == there
    assert here.density == 0.7
    assert moved.sample(0.5, 0.2, -0.3).density == 0


def test_the_same_seed_makes_the_same_grain():
    assert make_phantom(seed=4) == make_phantom(seed=4)
    assert make_phantom(seed=4) != make_phantom(seed=5)


def test_unknown_grains_name_the_known_ones():
    with pytest.raises(ParameterError, match="subgrains"):
        make_phantom("subgrain")
    with pytest.raises(ParameterError, match="spread"):
        make_phantom(spread_deg=-1.0)
    with pytest.raises(ParameterError, match="positive size"):
        make_phantom(size_um=0.0)
