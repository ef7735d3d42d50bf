"""NumPy files of a scan: the same frames as the store, in five dimensions."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.errors import ParameterError, Recon3DWarning
from recon3d.files.numpy_arrays import ArrayWriter, SparseArrayFile, is_grid
from recon3d.files.store import open_store
from recon3d.files.store_writer import StoreWriter
from recon3d.geometry import TiltOrigin
from recon3d.readers.source import FrameSource, MotorTable, Roi
from recon3d.scan.scan import Scan
from recon3d.scan.table import SettingAxis

MU, GAMMA = 10 + 0.1 * np.arange(3), np.array([-0.2, 0.2])
SHAPE = (4, 6, 50, 60)


class NumberedSource(FrameSource):
    """Frames that hold their own number."""

    frame_shape, dtype = (80, 90), np.dtype(np.uint16)

    def __init__(self, motors):
        self.motors = motors

    def name(self, index):
        return f"{index}"

    def read_into(self, index, roi, out):
        out[...] = np.full((roi.rows, roi.cols), index + 1)


def make_motors(axes):
    settings = np.meshgrid(*(axis.values_deg for axis in axes), indexing="ij")
    named = {axis.name: grid.ravel() for axis, grid in zip(axes, settings, strict=True)}
    omega = np.repeat(np.arange(SHAPE[0]) * 5.0, SHAPE[1]).reshape(SHAPE[:2])
    gamma = np.broadcast_to(named.get("gamma", np.full(6, 0.7)), SHAPE[:2])
    chi, phi = gamma * np.sin(np.radians(omega)), gamma * np.cos(np.radians(omega))
    mu = np.broadcast_to(named.get("mu", np.zeros(6)), SHAPE[:2])
    other = np.full(SHAPE[:2], 1.0)
    return MotorTable(omega, mu, chi, phi, other, other, other)


GRID = (SettingAxis("mu", MU), SettingAxis("gamma", GAMMA))


def make_scan(kind="mosaicity", axes=GRID):
    motors = make_motors(axes)
    return Scan(
        source=NumberedSource(motors.map(np.ravel)),
        roi=Roi(7, 8, *SHAPE[2:]),
        origin=TiltOrigin(10.1),
        kind=kind,
        axes=axes,
        omega_deg=motors.omega_deg[:, 0],
        slots=np.arange(24).reshape(SHAPE[:2]),
        motors=motors,
    )


def make_store(path, scan):
    frames = np.random.default_rng(0).uniform(0, 9, SHAPE).astype(np.float32)
    frames[:, ::2] = 0
    with StoreWriter(path, scan, provenance={}) as store:
        for k in range(SHAPE[0]):
            store.write(k, frames[k])
    return open_store(path), frames


def write_arrays(store, folder, which="final", raw=None, **options):
    """What the sink of a cleaning leaves of a scan."""
    with ArrayWriter(store, folder, which, **options) as writer:
        for k in range(len(store)):
            frames = None if raw is None else raw.read_projection(k)
            writer.write(k, cleaned=store.read_projection(k), raw=frames)


def names(folder):
    return {path.name for path in folder.iterdir()} - {"scan.h5"}


SMALL = {"mu.npy", "gamma.npy", "omega.npy", "Image_properties.txt"}


def test_final_frames_and_settings(tmp_path):
    store, frames = make_store(tmp_path / "scan.h5", make_scan())
    write_arrays(store, tmp_path, properties={"binth": 12.0})
    assert names(tmp_path) == SMALL | {"dataarray_final.npy"}
    final = np.load(tmp_path / "dataarray_final.npy")
    assert final.dtype == np.float32
    expected = frames.reshape(4, 3, 2, 50, 60).transpose(1, 2, 0, 3, 4)
    np.testing.assert_array_equal(final, expected)
    np.testing.assert_array_equal(np.load(tmp_path / "mu.npy"), MU)
    np.testing.assert_array_equal(np.load(tmp_path / "gamma.npy"), GAMMA)
    np.testing.assert_array_equal(np.load(tmp_path / "omega.npy"), store.omega_deg)
    text = (tmp_path / "Image_properties.txt").read_text("utf-8")
    lines = dict(line.split(" ", 1) for line in text.splitlines())
    assert lines["roi_row"] == "7"
    assert lines["roi_cols"] == "60"
    assert lines["mu_number"] == "3"
    assert lines["mu_step_deg"] == "0.1"
    assert lines["omega_last_deg"] == "15"
    assert lines["binth"] == "12.0"


def test_all_adds_the_raw_frames(tmp_path):
    scan = make_scan()
    store, _ = make_store(tmp_path / "scan.h5", scan)
    write_arrays(store, tmp_path, "all", scan)
    assert names(tmp_path) == SMALL | {"dataarray_final.npy", "dataarray.npy"}
    raw = np.load(tmp_path / "dataarray.npy")
    assert raw.dtype == np.uint16
    number = np.arange(24).reshape(4, 3, 2).transpose(1, 2, 0) + 1
    np.testing.assert_array_equal(raw, np.broadcast_to(number[..., None, None], raw.shape))
    with pytest.raises(ParameterError, match="everything"):
        write_arrays(store, tmp_path, "everything")


def test_none_leaves_the_small_files(tmp_path):
    store, _ = make_store(tmp_path / "scan.h5", make_scan())
    write_arrays(store, tmp_path, "none")
    assert names(tmp_path) == SMALL


def test_dark_frames_are_holes(tmp_path):
    with SparseArrayFile(tmp_path / "a.npy", (3, 500, 1000, 100), np.float32) as file:
        file.write((1, 7), np.ones((1000, 100), np.float32))
        for setting in range(20):
            file.write((2, setting), np.zeros((1000, 100), np.float32))
    stat = (tmp_path / "a.npy").stat()
    assert stat.st_size > 6e8
    assert stat.st_blocks * 512 < 2e6
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert array[1, 7].all()
    assert not array[1, 6].any()
    assert not array[2, 499].any()


def test_pieces_of_another_shape_are_refused(tmp_path):
    with (
        pytest.raises(ParameterError, match="expected"),
        SparseArrayFile(tmp_path / "a.npy", (3, 4, 5), np.float32) as file,
    ):
        file.write((1,), np.ones((5, 4)))
    assert list(tmp_path.iterdir()) == []


def test_a_rocking_scan_has_one_gamma(tmp_path):
    scan = make_scan("rocking", (SettingAxis("mu", 10 + 0.1 * np.arange(6)),))
    store, frames = make_store(tmp_path / "scan.h5", scan)
    write_arrays(store, tmp_path)
    final = np.load(tmp_path / "dataarray_final.npy")
    assert final.shape == (6, 1, 4, 50, 60)
    np.testing.assert_array_equal(final[:, 0], frames.transpose(1, 0, 2, 3))
    np.testing.assert_allclose(np.load(tmp_path / "gamma.npy"), [0.7])


@pytest.mark.parametrize(
    ("kind", "names_of_axes"),
    [("tilts", ("chi", "phi")), ("skew", ("mu", "chi")), ("mosaicity", ("mu", "two_theta"))],
)
def test_other_grids_are_told_and_get_no_frames(tmp_path, kind, names_of_axes):
    axes = tuple(
        SettingAxis(name, values) for name, values in zip(names_of_axes, (MU, GAMMA), strict=True)
    )
    store, _ = make_store(tmp_path / "scan.h5", make_scan(kind, axes))
    assert not is_grid(store)
    with pytest.warns(Recon3DWarning, match="no grid of mu x gamma"):
        write_arrays(store, tmp_path)
    expected = {f"{name}.npy" for name in names_of_axes}
    assert names(tmp_path) == expected | {"omega.npy", "Image_properties.txt"}


def test_an_error_leaves_no_files(tmp_path):
    scan = make_scan()
    with pytest.raises(ParameterError), ArrayWriter(scan, tmp_path) as writer:
        writer.write(0, cleaned=np.ones((6, 9, 9), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_big_endian_frames_keep_their_values(tmp_path):
    scan = replace(make_scan())
    with ArrayWriter(scan, tmp_path, "all") as writer:
        for k in range(4):
            raw = scan.read_projection(k).astype(">u2")
            writer.write(k, cleaned=np.ones(SHAPE[1:], np.float32), raw=raw)
    assert np.load(tmp_path / "dataarray.npy").max() == 24
