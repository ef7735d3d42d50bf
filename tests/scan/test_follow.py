"""A scan that grows while it is followed."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.readers.edf.image import HeadReader
from recon3d.scan.follow import Follower
from recon3d.scan.scan import open_scan
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import Steps
from recon3d.simulate.writers.bliss_scan import simulate_bliss
from recon3d.simulate.writers.edf_scan import simulate_scan

PER_OMEGA = 9
ORIGIN = {"phi0_deg": -3.5, "chi0_deg": 1.2}


def small_plan(projections=4):
    return replace(
        demo_plan(),
        omega_deg=tuple(20.0 * k for k in range(projections)),
        mu=Steps(0.032, 3),
        gamma=Steps(0.032, 3),
        rows=20,
        cols=24,
        magnification_pix_per_um=2.0,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    phantom = make_phantom(size_um=3.0, spread_deg=0.02, seed=1)
    simulate_scan(folder, phantom, small_plan(), voxels=4, show_progress=False)
    return folder


@pytest.fixture
def arrive(whole, tmp_path):
    folder = tmp_path / "arriving"
    folder.mkdir()
    names = sorted(path.name for path in whole.glob("*.edf"))

    def copy(first, last):
        for name in names[first:last]:
            shutil.copy(whole / name, folder / name)

    copy.folder, copy.names = folder, names
    return copy


def test_complete_projections_are_passed_on_as_they_come(arrive, whole):
    follower = Follower(arrive.folder, "topotomo_", **ORIGIN)
    assert follower.poll() is None
    arrive(0, PER_OMEGA)
    # The first one is known to be complete only when the second has begun.
    assert follower.poll() is None
    arrive(PER_OMEGA, 2 * PER_OMEGA + 4)
    scan = follower.poll()
    assert scan.shape[:2] == (2, PER_OMEGA)
    assert scan.valid.all()
    assert follower.poll() is None
    assert follower.reason == "no new frames"
    arrive(2 * PER_OMEGA + 4, 4 * PER_OMEGA)
    scan = follower.poll()
    expected = open_scan(whole, "topotomo_", show_progress=False, **ORIGIN)
    assert scan.shape == expected.shape
    for k in range(4):
        assert np.array_equal(scan.read_projection(k), expected.read_projection(k))


def test_headers_are_read_once(arrive, monkeypatch):
    follower = Follower(arrive.folder, "topotomo_", **ORIGIN)
    arrive(0, 3 * PER_OMEGA)
    follower.poll()
    seen, read = [], HeadReader.read

    def noted(self, path):
        seen.append(Path(path).name)
        return read(self, path)

    monkeypatch.setattr(HeadReader, "read", noted)
    arrive(3 * PER_OMEGA, 4 * PER_OMEGA)
    assert follower.poll().shape[0] == 4
    assert seen == arrive.names[3 * PER_OMEGA :]


def test_a_file_that_is_half_written_is_read_when_it_is_whole(arrive):
    follower = Follower(arrive.folder, "topotomo_", **ORIGIN)
    arrive(0, 3 * PER_OMEGA)
    last = arrive.folder / arrive.names[3 * PER_OMEGA - 1]
    content = last.read_bytes()
    last.write_bytes(content[:-100])
    assert follower.poll().shape[0] == 2
    last.write_bytes(content)
    assert follower.poll().shape[0] == 3


def test_a_frame_that_never_comes_does_not_stop_the_others(arrive):
    follower = Follower(arrive.folder, "topotomo_", **ORIGIN)
    arrive(0, 4 * PER_OMEGA)
    (arrive.folder / arrive.names[13]).unlink()
    scan = follower.poll()
    assert scan.shape[0] == 4
    assert len(scan.missing) == 1


def test_it_watches_until_it_is_stopped(arrive):
    follower, found = Follower(arrive.folder, "topotomo_", interval_s=0.001, **ORIGIN), []
    for number, scan in enumerate(follower.watch()):
        found.append(None if scan is None else len(scan))
        arrive(0, 4 * PER_OMEGA)
        if number:
            follower.stop()
    assert found == [None, 4]


def test_a_bliss_file_that_grows(tmp_path):
    phantom = make_phantom(size_um=3.0, spread_deg=0.02, seed=1)
    paths = []
    for count in (3, 5):
        written = simulate_bliss(
            tmp_path / str(count), phantom, small_plan(count), voxels=4, show_progress=False
        )
        paths.append(written)
    follower = Follower(paths[0], "", **ORIGIN)
    assert follower.poll().shape[0] == 3
    assert follower.poll() is None
    shutil.copy(paths[1], paths[0])
    assert follower.poll().shape[0] == 5


def test_an_impossible_interval_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="interval"):
        Follower(tmp_path, interval_s=0)
