"""What silx and nexusformat make of our files, by their own rules."""

import h5py
import numpy as np
import pytest
from nexusformat.nexus import nxload, validate
from silx.io import nxdata
from store_files import make_frames, write

from recon3d.colors import orientation_colors, orientation_range
from recon3d.files.grain import Grain
from recon3d.files.store import open_store


@pytest.fixture
def grain_file(grain, tmp_path):
    grain.save(tmp_path / "grain.h5")
    with h5py.File(tmp_path / "grain.h5") as file:
        yield file


@pytest.fixture
def scan_file(tmp_path):
    write(tmp_path / "scan.h5", make_frames())
    with h5py.File(tmp_path / "scan.h5") as file:
        yield file


def groups_of(file, nx_class):
    return {
        name: group
        for name, group in file["entry"].items()
        if group.attrs.get("NX_class") == nx_class
    }


def faults_by_nexusformat(path):
    _, errors = validate.validate_file(str(path))
    return errors


@pytest.mark.parametrize("name", ["grain_file", "scan_file"])
def test_every_nxdata_is_valid_for_silx_and_nexusformat(name, request):
    file = request.getfixturevalue(name)
    shapes, path = {}, file.filename
    for group in groups_of(file, "NXdata").values():
        assert nxdata.NXdata(group).issues == []
        assert nxdata.NXdata(group).is_valid
        shapes[group.name] = group[group.attrs["signal"]].shape
    file.close()
    assert faults_by_nexusformat(path) == 0
    tree = nxload(path)
    assert {place: tree[place].nxsignal.shape for place in shapes} == shapes


def test_nexusformat_would_find_an_axis_that_does_not_fit(grain, tmp_path):
    path = tmp_path / "grain.h5"
    grain.save(path)
    with h5py.File(path, "r+") as file:
        del file["entry/a/x"]
        file["entry/a/x"] = np.arange(2)
    assert faults_by_nexusformat(path) == 1


def test_a_grain_opens_on_its_mosaicity_in_colours(grain, grain_file):
    data = nxdata.NXdata(grain_file["entry/mosaicity"])
    assert data.interpretation == "rgba-image"
    # silx starts at the first slice of a volume: the default is the one with most voxels alone.
    shown = nxdata.get_default(grain_file)
    assert shown.group.name == "/entry/mosaicity_middle"
    assert shown.interpretation == "rgba-image"
    fullest = int(grain.mask.sum(axis=(1, 2)).argmax())
    np.testing.assert_array_equal(shown.signal[()], data.signal[fullest])
    assert list(shown.group.attrs["axes"]) == ["y", "z", "."]
    assert shown.signal[..., 3].any()
    assert [axis[()].tolist() for axis in data.axes[:3]] == [
        grain.volume.axis_um(i).tolist() for i in range(3)
    ]
    colors = data.signal[()]
    a, b = np.moveaxis(grain.orientation, -1, 0)
    range_deg, center_deg = orientation_range(a[grain.mask], b[grain.mask])
    expected = np.round(255 * orientation_colors(a, b, range_deg, center_deg)[grain.mask])
    np.testing.assert_array_equal(colors[grain.mask][:, :3], expected)
    np.testing.assert_array_equal(colors[..., 3], 255 * grain.mask)
    # The key holds each colour where its tilt is.
    key = grain_file["entry/mosaicity_key"]
    tilts = grain.orientation[grain.mask][5]
    col, row = (np.abs(key[name][()] - t).argmin() for name, t in zip("ab", tilts, strict=True))
    difference = key["colors"][row, col, :3].astype(int) - colors[grain.mask][5, :3]
    assert np.abs(difference).max() <= 3


def test_maps_of_a_grain_are_its_arrays(grain, grain_file):
    entry = grain_file["entry"]
    for name, array in grain.arrays().items():
        assert entry[name][name] == grain_file["grain"][name]
        assert entry[name].attrs["axes"][:3].tolist() == ["x", "y", "z"]
        assert entry[name].attrs["default_slice"][:3].tolist() == ["1", ".", "."]
        assert len(entry[name].attrs["default_slice"]) == array.ndim
        assert "long_name" in entry[name][name].attrs
    for part, name in enumerate("ab"):
        np.testing.assert_array_equal(entry[name][name], grain.orientation[..., part])
        assert entry[name][name].attrs["units"] == "degree"


def test_errors_are_shown_with_what_they_belong_to(grain_factory, tmp_path):
    error = np.random.default_rng(0).random((5, 4, 3, 2)).astype(np.float32)
    grain_factory(orientation_error=error, strain_error=error[..., 0]).save(tmp_path / "grain.h5")
    with h5py.File(tmp_path / "grain.h5") as file:
        for name, values in (("b", error[..., 1]), ("strain", error[..., 0])):
            data = nxdata.NXdata(file["entry"][name])
            assert data.issues == []
            np.testing.assert_array_equal(data.errors[()], values)
        assert file["entry/orientation/orientation_errors"] == file["grain/orientation_error"]
    assert faults_by_nexusformat(tmp_path / "grain.h5") == 0


def test_how_it_was_made_is_an_nxprocess(grain_file, scan_file):
    process = grain_file["entry/process"]
    assert process["program"].asstr()[()] == "recon3d"
    assert process["parameters/handedness"][()] == -1
    assert process["parameters/method"].asstr()[()] == "iterative"
    nested = scan_file["entry/process/parameters/nested"].asstr()[()]
    assert nested == '{"a": [1, null]}'


def test_a_scan_opens_on_its_summed_frames(scan_file):
    data = nxdata.get_default(scan_file)
    assert data.group.name == "/entry/summed"
    frames = make_frames()
    np.testing.assert_allclose(data.signal, frames.sum(axis=1), rtol=1e-5)
    # Frames are in C order of mu (4) and gamma (2).
    profile = frames.sum(axis=(2, 3), dtype=float).reshape(3, 4, 2)
    np.testing.assert_allclose(scan_file["entry/profile_mu/intensity"], profile.sum(axis=2))
    np.testing.assert_allclose(scan_file["entry/profile_gamma/intensity"], profile.sum(axis=1))


def test_files_of_version_0_1_still_open(grain, tmp_path):
    """They had no NeXus: no attributes of the root, nothing in /entry but a scan's own."""
    grain.save(tmp_path / "grain.h5")
    with h5py.File(tmp_path / "grain.h5", "r+") as file:
        del file["entry"]
        del file.attrs["NX_class"], file.attrs["default"]
    back = Grain.load(tmp_path / "grain.h5")
    assert back.provenance == grain.provenance
    np.testing.assert_array_equal(back.orientation, grain.orientation)
    write(tmp_path / "scan.h5", make_frames())
    with h5py.File(tmp_path / "scan.h5", "r+") as file:
        for name in ("summed", "process", "profile_mu", "profile_gamma", "title"):
            del file["entry"][name]
    np.testing.assert_array_equal(
        open_store(tmp_path / "scan.h5").read_projection(0), make_frames()[0]
    )


def test_a_grain_without_a_voxel_is_written_all_the_same(grain_factory, tmp_path):
    empty = grain_factory(
        mask=np.zeros((5, 4, 3), bool), orientation=np.full((5, 4, 3, 2), np.nan, np.float32)
    )
    empty.save(tmp_path / "grain.h5")
    with h5py.File(tmp_path / "grain.h5") as file:
        assert not file["entry/mosaicity/colors"][..., 3].any()
