"""Real ID03 files, which the package darling-pypi carries.

Only its files are used: they are looked for where RECON3D_DARLING says that its wheel is unpacked,
else where it is installed. It is no requirement of the tests: it takes 80 MB.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

from recon3d.analysis.projection_maps import projection_moments
from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, GridError
from recon3d.scan.scan import open_scan

SPEC = find_spec("darling")
UNPACKED = os.environ.get("RECON3D_DARLING")
PACKAGE = Path(UNPACKED, "darling") if UNPACKED else Path(SPEC.origin).parent if SPEC else Path()
FILES = PACKAGE / "assets" / "example_data"
MOSAICITY = FILES / "mosa_scan_id03" / "mosa_scan.h5"
ROCKING = FILES / "rocking_scan_id03" / "rocking.h5"
STEPPED = FILES / "domains" / "2D_domains.h5"

pytestmark = [
    pytest.mark.usefixtures("example_files"),
    pytest.mark.filterwarnings("ignore:there is no motor"),
]


@pytest.fixture(scope="module")
def example_files(require_or_skip):
    for path in (MOSAICITY, ROCKING, STEPPED):
        if not path.exists():
            require_or_skip(f"{path.name} of darling-pypi is not here (RECON3D_DARLING)")


def compare(path, scan, fast, slow, shape):
    """Frames and mean maps of a scan against those straight from the file, in its own order."""
    with h5py.File(path, "r") as file:
        entry = file[scan.source.records[0].entry]
        raw = entry["instrument/pco_ff/image"][()]
        readings = [entry[place][()] for place in (fast, slow)]
    frames, motors = scan.read_projection(0), scan.motors
    assert tuple(axis.values_deg.size for axis in scan.axes) == shape
    assert sorted(scan.slots[0]) == list(range(len(raw)))
    np.testing.assert_array_equal(frames, raw[scan.slots[0]])
    np.testing.assert_array_equal(motors.base_tilt_deg[0], readings[0][scan.slots[0]])
    np.testing.assert_array_equal(motors.chi_deg[0], readings[1][scan.slots[0]])
    total, mean_mu, mean_chi = projection_moments(
        frames, motors.base_tilt_deg[0], motors.chi_deg[0]
    )
    weights = raw.astype(float)
    np.testing.assert_allclose(total, weights.sum(axis=0))
    for mean, values in zip((mean_mu, mean_chi), readings, strict=True):
        expected = np.einsum("frc,f->rc", weights, values) / weights.sum(axis=0)
        # Sums of 128 frames are in single precision: 1e-7 of the range, here some 3°.
        np.testing.assert_allclose(mean, expected, atol=3e-7)


@pytest.mark.parametrize("entry", ["1", "2"])
def test_a_mosaicity_scan(entry):
    scan = open_scan(MOSAICITY, "-", entries=entry, tilt_azimuth_deg=90, show_progress=False)
    compare(MOSAICITY, scan, "instrument/diffrz/data", "instrument/chi/value", (43, 62))
    assert scan.kind == "mosaicity"
    np.testing.assert_allclose(np.diff(scan.axes[0].values_deg), 0.08, atol=1e-3)
    np.testing.assert_allclose(np.diff(scan.axes[1].values_deg), 0.08, atol=1e-4)


def test_a_stepped_and_swept_scan_in_large_chunks():
    names = Goniometer(omega="diffrz", base_tilt="diffry")
    scan = open_scan(STEPPED, goniometer=names, tilt_azimuth_deg=90, show_progress=False)
    scan = scan.crop((100, 100), (200, 200))
    compare(STEPPED, scan, "instrument/diffry/data", "instrument/chi/value", (37, 26))
    np.testing.assert_array_equal(scan.motors.ring_current_ma, 195.302301)
    np.testing.assert_allclose(scan.motors.energy_kev, 17, atol=1e-6)


def test_a_rocking_scan():
    scan = open_scan(ROCKING, show_progress=False)
    assert (scan.kind, scan.shape) == ("rocking", (1, 150, 118, 314))
    with h5py.File(ROCKING, "r") as file:
        raw, mu = file["1.1/instrument/pco_ff/data"][()], file["1.1/measurement/mu"][()]
    np.testing.assert_array_equal(scan.read_projection(0), raw)
    np.testing.assert_array_equal(scan.axes[0].values_deg, mu)
    assert abs(scan.omega_deg[0]) < 1e-4


def test_two_layers_are_not_taken_for_one_scan():
    with pytest.raises(DataError, match=r"both taken at.*2 entries.*--entries"):
        open_scan(MOSAICITY, tilt_azimuth_deg=90, show_progress=False)


def test_two_motors_along_one_direction_are_refused():
    with pytest.raises(GridError, match="With tilt_azimuth 90 they do form a grid"):
        open_scan(MOSAICITY, entries="1", show_progress=False)
    with pytest.raises(DataError, match=r"both taken at.*--entries 2\.1$") as told:
        open_scan(MOSAICITY, show_progress=False)
    assert len(str(told.value)) < 500
