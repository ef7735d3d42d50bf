import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import recon3d
from recon3d.errors import DataError, ParameterError
from recon3d.files.grain import FORMAT_VERSION, Grain

ARRAYS = ("occupancy", "mask", "orientation", "orientation_spread", "completeness", "strain")


def test_what_is_saved_comes_back(grain, tmp_path):
    grain.save(tmp_path / "grain.h5")
    back = Grain.load(tmp_path / "grain.h5")
    for name in (*ARRAYS, "residual"):
        mine, theirs = getattr(grain, name), getattr(back, name)
        assert theirs.dtype == mine.dtype, name
        np.testing.assert_array_equal(theirs, mine, err_msg=name)
    assert back.volume == grain.volume
    assert back.provenance == grain.provenance


def test_provenance_keeps_types_and_nesting(grain_factory, tmp_path):
    provenance = {
        "method": "backprojection",
        "text_like_a_list": "[1, 2, 3]",
        "format": "edf",
        "empty": "",
        "pixels": 18.57,
        "count": 3,
        "normalised": True,
        "omega_exclude": [1.5, 3.0],
        "nested": {"centre": [0.1, None], "note": "γ"},
        "long": [f"file_{i:06}.edf" for i in range(20_000)],
    }
    grain_factory(provenance=provenance).save(tmp_path / "grain.h5")
    back = Grain.load(tmp_path / "grain.h5").provenance
    assert back == provenance
    assert {name: type(value) for name, value in back.items()} == {
        name: type(value) for name, value in provenance.items()
    }


def test_numpy_values_and_paths_in_provenance_become_plain(grain_factory, tmp_path):
    provenance = {"n": np.int32(3), "x": np.arange(3), "path": Path("a"), "in": [np.float32(0.5)]}
    grain_factory(provenance=provenance).save(tmp_path / "grain.h5")
    back = Grain.load(tmp_path / "grain.h5").provenance
    assert back == {"n": 3, "x": [0, 1, 2], "path": "a", "in": [0.5]}


@pytest.mark.parametrize("provenance", [{"f": object()}, {"_format": "x"}, {"f": [object()]}])
def test_provenance_that_cannot_be_kept_is_refused(grain_factory, tmp_path, provenance):
    with pytest.raises(ParameterError, match=next(iter(provenance))):
        grain_factory(provenance=provenance).save(tmp_path / "grain.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_file_reads_without_this_program(grain, tmp_path):
    grain.save(tmp_path / "grain.h5")
    with h5py.File(tmp_path / "grain.h5") as file:
        for axis, name in enumerate("xyz"):
            np.testing.assert_allclose(file[f"grain/{name}"][()], grain.volume.axis_um(axis))
            assert file[f"grain/{name}"].attrs["units"] == "um"
        assert file["grain/orientation"].shape == (5, 4, 3, 2)
        assert file["grain/orientation"].attrs["units"] == "degree"
        assert file["grain/mask"].dtype == bool
        assert file.attrs["handedness"] == -1
        assert file.attrs["_written_by"] == f"recon3d {recon3d.__version__}"


def test_strain_is_absent_where_it_was_not_scanned(grain_factory, tmp_path):
    grain_factory(strain=False).save(tmp_path / "grain.h5")
    assert Grain.load(tmp_path / "grain.h5").strain is None
    with h5py.File(tmp_path / "grain.h5") as file:
        assert "strain" not in file["grain"]


@pytest.mark.parametrize("name", [*ARRAYS[:-1], "residual"])
def test_a_missing_array_is_named(grain, tmp_path, name):
    path = tmp_path / "grain.h5"
    grain.save(path)
    with h5py.File(path, "r+") as file:
        del file[f"grain/{name}"]
    with pytest.raises(DataError, match=f"grain.h5: lacks /grain/{name},"):
        Grain.load(path)


def test_a_missing_group_or_attribute_is_named(grain, tmp_path):
    path = tmp_path / "grain.h5"
    grain.save(path)
    with h5py.File(path, "r+") as file:
        del file["grain"].attrs["grain_dim"]
    with pytest.raises(DataError, match="grain_dim"):
        Grain.load(path)
    with h5py.File(path, "r+") as file:
        del file["grain"]
    with pytest.raises(DataError, match="lacks /grain,"):
        Grain.load(path)


def test_an_array_of_the_wrong_shape_is_refused(grain, grain_factory, tmp_path):
    with pytest.raises(ParameterError, match=r"mask has shape \(2, 2, 2\)"):
        grain_factory(mask=np.ones((2, 2, 2), bool))
    path = tmp_path / "grain.h5"
    grain.save(path)
    with h5py.File(path, "r+") as file:
        del file["grain/orientation"]
        file["grain/orientation"] = np.zeros((5, 4, 3))
    with pytest.raises(DataError, match=r"grain\.h5: .*orientation has shape"):
        Grain.load(path)


def test_a_newer_version_is_refused(grain, tmp_path):
    path = tmp_path / "grain.h5"
    grain.save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["_format_version"] = FORMAT_VERSION + 1
    with pytest.raises(DataError, match="update recon3d"):
        Grain.load(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Grain.load(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(DataError, match=r"text.h5: cannot be read as HDF5"):
        Grain.load(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["grain/occupancy"] = 1
    with pytest.raises(DataError, match="is no grain file"):
        Grain.load(tmp_path / "other.h5")


def test_a_file_cut_short_is_refused(grain, tmp_path):
    path = tmp_path / "grain.h5"
    grain.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="cut short"):
        Grain.load(path)


def test_a_failed_save_leaves_the_older_file(grain, grain_factory, tmp_path):
    path = tmp_path / "grain.h5"
    grain.save(path)
    before = path.read_bytes()
    with pytest.raises(ParameterError):
        grain_factory(provenance={"bad": object()}).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(grain, tmp_path):
    with pytest.raises(ParameterError, match="there is no folder"):
        grain.save(tmp_path / "nowhere" / "grain.h5")


def test_grain_ang_holds_orientation_and_completeness(grain, tmp_path):
    path = grain.save_arrays(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    columns = np.load(path)
    assert path.name == "grain_ang.npy"
    assert columns.shape == (5, 4, 3, 3)
    assert columns.dtype == np.float32
    np.testing.assert_array_equal(columns[..., :2], grain.orientation)
    np.testing.assert_array_equal(columns[..., 2], grain.completeness)


def test_it_shows_itself_in_short(grain, grain_factory):
    # The mask holds 3 x 2 x 2 voxels of 2 x 1.5 x 1 µm.
    assert grain.volume_um3 == pytest.approx(36)
    assert "12 voxels, 36 µm³" in repr(grain)
    spread = 1000 * np.median(grain.orientation_spread[grain.mask])
    assert f"{spread:.3g} mdeg" in grain._repr_html_()
    empty = grain_factory(mask=np.zeros((5, 4, 3), bool), provenance={"method": "<b>"})
    assert "0 voxels" in repr(empty)
    assert "&lt;b&gt;" in empty._repr_html_()
    json.dumps(grain.facts())


def test_errors_quality_and_doubts_come_back(grain, tmp_path):
    error = np.full((*grain.volume.shape, 2), 0.25, np.float32)
    doubts = ("μ_c drifts by 12 mdeg: <align>", "less than 150° of ω")
    known = replace(grain, orientation_error=error, quality=error[..., 0], doubts=doubts)
    path = tmp_path / "grain.h5"
    known.save(path)
    back = Grain.load(path)
    assert back.doubts == doubts
    assert back.strain_error is None
    np.testing.assert_array_equal(back.orientation_error, error)
    np.testing.assert_array_equal(back.quality, error[..., 0])
    with h5py.File(path) as file:
        assert [str(text) for text in file.attrs["doubts"]] == list(doubts)
    assert "&lt;align&gt;" in back._repr_html_()
    assert "doubts" not in back.provenance


def test_a_grain_without_doubts_says_so_by_an_empty_list(grain, tmp_path):
    grain.save(tmp_path / "grain.h5")
    with h5py.File(tmp_path / "grain.h5") as file:
        assert file.attrs["doubts"].shape == (0,)
    assert Grain.load(tmp_path / "grain.h5").doubts == ()
