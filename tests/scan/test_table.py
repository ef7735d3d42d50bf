"""A scan as a sequence of projections, raw and cleaned alike."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from id06_folders import mosaicity
from store_files import make_frames, write

import recon3d as r3
from recon3d.errors import ParameterError
from recon3d.scan.table import ScanTable, SettingAxis

OMEGA = [0.0, 90.0]
MU, GAMMA = [10.0, 10.1, 10.2], [-0.1, 0.1]


@pytest.fixture
def scan(write_folder):
    folder = write_folder(mosaicity(OMEGA, MU, GAMMA), shape=(4, 5))
    return r3.open_scan(folder, "topo_", phi0_deg=0, chi0_deg=0)


def test_a_scan_is_a_sequence_of_projections(scan):
    assert isinstance(scan, r3.Scan)
    assert len(scan) == 2
    for k, projection in enumerate(scan):
        np.testing.assert_array_equal(projection, scan.read_projection(k))
        assert projection.omega_deg == pytest.approx(OMEGA[k], abs=1e-6)
        # The base tilt is counted from the middle of its range, 10.1.
        np.testing.assert_allclose(projection.mu_deg, np.repeat([-0.1, 0, 0.1], 2), atol=1e-4)
        np.testing.assert_allclose(projection.gamma_deg, np.tile(GAMMA, 3), atol=1e-4)
    assert scan[-1].omega_deg == scan[1].omega_deg
    with pytest.raises(IndexError, match="the scan has 2"):
        scan[2]


def test_a_projection_is_an_array(scan):
    projection = scan[0]
    assert projection.shape == (len(projection), 4, 5) == (6, 4, 5)
    assert np.asarray(projection, np.float32).dtype == np.float32
    assert np.sum(projection) == scan.read_projection(0).sum()
    assert repr(projection).startswith("Projection(omega = 0 degrees: 6 frames of 4 x 5 pixels")


def test_a_missing_frame_has_no_setting(scan):
    slots = scan.slots.copy()
    slots[1, 2] = -1
    part = replace(scan, slots=slots, motors=scan.source.motors.at(slots))
    assert part.missing == [(1, 2)]
    assert np.flatnonzero(np.isnan(part[1].mu_deg)).tolist() == [2]
    assert not part[1].frames[2].any()
    assert "1 frames missing" in repr(part)


def test_a_store_is_such_a_sequence_too(tmp_path):
    frames = make_frames()
    store = write(tmp_path / "scan.h5", frames)
    assert len(store) == len(frames)
    np.testing.assert_array_equal(store[1], frames[1])
    assert store[2].omega_deg == 1.6
    assert np.isnan(store[0].mu_deg[1])
    assert len(repr(store)) < 300


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"omega_deg": np.arange(3.0)}, "omega has the shape"),
        ({"axes": (SettingAxis("mu", np.arange(4.0)),)}, "the grid of settings has the shape"),
    ],
)
def test_parts_that_do_not_fit_are_refused(scan, change, named):
    with pytest.raises(ParameterError, match=named):
        replace(scan, **change)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("axes", 5),
        ("axes", (1, 2)),
        ("roi", None),
        ("motors", 3),
        ("omega_deg", "x"),
        ("source", 3),
    ],
)
def test_a_part_of_a_wrong_kind_is_named(scan, field, value):
    with pytest.raises(ParameterError, match=rf"^{field} is .*: expected"):
        replace(scan, **{field: value})


def test_a_scan_has_no_part_of_another_name(scan):
    with pytest.raises(ParameterError, match="Scan: missing a required argument: 'kind'"):
        r3.Scan(source=scan.source)
    with pytest.raises(IndexError, match="projection 'a': the scan has 2"):
        scan.settings("a")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SubScan(r3.CleanedScan):
    """As another module derives it, in which h5py has no name."""


def test_parts_of_a_derived_scan_are_those_of_its_base(tmp_path):
    store = write(tmp_path / "scan.h5", make_frames())
    parts = {
        name: getattr(store, name) for name in ("path", "integrated", *ScanTable.__annotations__)
    }
    assert len(SubScan(**parts)) == len(store)
    with pytest.raises(ParameterError, match=r"^roi is 3: expected"):
        SubScan(**parts | {"roi": 3})
