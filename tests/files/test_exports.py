"""Exports, each read back by the program that it is for, or by a plain parser of its format."""

import csv
import errno

import h5py
import numba
import numpy as np
import pytest
import xarray
import zarr
from ome_zarr_models.v05 import Image
from scipy.spatial.transform import Rotation

from recon3d.errors import OutputError, ParameterError
from recon3d.files.exports.by_ending import export_grain
from recon3d.files.exports.crystal_maps import Slice, map_of
from recon3d.files.rotations import euler_bunge_deg, mean_orientation

CELL = {"sg_no": "225", "unit_cell": "[4.0495, 4.0495, 4.0495, 90, 90, 90]", "handedness": -1}
MEAN = [40.0, 60.0, 20.0]


@pytest.fixture
def crystal(grain_factory):
    return grain_factory(provenance=CELL | {"euler_bunge": MEAN})


@pytest.fixture(scope="module")
def orix():
    """As plain Python: at its first import all of it would be compiled, for 25 s.

    What others import after it is compiled again.
    """
    numba.njit(lambda: 0)()  # imports what of numba itself has to be compiled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        import orix.io
        from orix.crystal_map import CrystalMap  # noqa: F401 (its modules load what they name)
        from orix.quaternion import Rotation  # noqa: F401

    return orix


def read_ctf(path):
    """Header lines by their first word, and the table by its column names."""
    lines = path.read_text("utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Phase\t"))
    header = dict(line.split("\t", 1) for line in lines[1:at] if "\t" in line)
    names = lines[at].split("\t")
    rows = np.array([[float(word) for word in line.split("\t")] for line in lines[at + 1 :]])
    return header, lines[at - 1].split("\t"), dict(zip(names, rows.T, strict=True))


def turned(a_deg, b_deg):
    """A lattice turned by -a about z and, for h = -1, by b about x, worked out by hand."""
    return Rotation.from_rotvec(np.radians([b_deg, 0, -a_deg])).as_matrix()


def test_rotations_are_the_turns_of_the_tilts_on_the_mean(crystal, orix):
    mean = Rotation.from_euler("ZXZ", MEAN, degrees=True).as_matrix()
    tilts = crystal.orientation[crystal.mask].astype(float)
    for (a, b), found in zip(
        tilts - tilts.mean(axis=0), crystal.rotations().as_matrix(), strict=True
    ):
        np.testing.assert_allclose(found, turned(a, b) @ mean, atol=1e-9)
    theirs = crystal.rotations("orix")
    euler = np.radians(euler_bunge_deg(crystal.rotations().as_matrix()))
    ours = orix.quaternion.Rotation.from_euler(euler)
    assert np.degrees((theirs * ~ours).angle).max() < 1e-4


def test_eulers_of_bunge_come_back_from_matrices():
    rng = np.random.default_rng(1)
    angles = rng.uniform((0, 0, 0), (360, 180, 360), (50, 3))
    found = euler_bunge_deg(Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix())
    np.testing.assert_allclose(found, angles, atol=1e-6)
    flat = euler_bunge_deg(Rotation.from_euler("z", [[30], [0]], degrees=True).as_matrix())
    np.testing.assert_allclose(flat, [[30, 0, 0], [0, 0, 0]], atol=1e-9)


def test_the_mean_is_read_from_a_matrix_or_angles_and_nonsense_is_refused():
    matrix = Rotation.from_euler("ZXZ", MEAN, degrees=True).as_matrix()
    for given in (matrix.ravel().tolist(), str(matrix.ravel().tolist())):
        np.testing.assert_allclose(mean_orientation({"orientation_matrix": given}), matrix)
    np.testing.assert_allclose(mean_orientation({"euler_bunge": "40, 60, 20"}), matrix)
    assert mean_orientation({}) is None
    for wrong in ([1.0] * 9, [1, 0, 0, 0, 1, 0, 0, 0, -1], [1, 0]):
        with pytest.raises(ParameterError, match=r"is no rotation|expected 9 numbers"):
            mean_orientation({"orientation_matrix": wrong})
    with pytest.raises(ParameterError, match=r"euler_bunge is .*: expected 3 numbers"):
        mean_orientation({"euler_bunge": [1.0, 2.0]})


@pytest.mark.parametrize("across", ["x", "y", "z"])
def test_a_ctf_holds_each_voxel_at_its_place_in_the_maps_own_frame(crystal, tmp_path, across):
    at = {"x": 1.0, "y": -1.25, "z": 2.2}[across]
    (path,) = export_grain(crystal, tmp_path / "g.ctf", across=across, at_um=at)
    header, phase, table = read_ctf(path)
    axis = "xyz".index(across)
    number = int(np.abs(crystal.volume.axis_um(axis) - at).argmin())
    first, second = (axis + 1) % 3, (axis + 2) % 3
    sizes = [crystal.volume.shape[i] for i in (first, second)]
    assert [int(header["XCells"]), int(header["YCells"])] == sizes
    assert phase[:2] == ["4.0495;4.0495;4.0495", "90;90;90"]
    assert phase[3:] == ["11", "225"]
    assert "rotation about G (y) cannot be seen, and is set to zero" in header["Prj"]
    assert "relative" not in header["Prj"]
    matrices = np.full((*crystal.volume.shape, 3, 3), np.nan)
    matrices[crystal.mask] = crystal.rotations().as_matrix()
    for row in range(len(table["X"])):
        index = [0, 0, 0]
        index[axis] = number
        index[first] = round(table["X"][row] / float(header["XStep"]))
        index[second] = round(table["Y"][row] / float(header["YStep"]))
        assert table["Phase"][row] == crystal.mask[tuple(index)]
        if table["Phase"][row]:
            angles = [table[f"Euler{i}"][row] for i in (1, 2, 3)]
            found = Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix()
            expected = matrices[tuple(index)][[first, second, axis]]
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_without_a_mean_rotations_are_relative_to_it_and_the_files_say_so(grain, tmp_path):
    header, phase, table = read_ctf(export_grain(grain, tmp_path / "g.ctf")[0])
    assert "relative to the grain's mean orientation, which is not known" in header["Prj"]
    assert phase[3] == "1"
    inside = table["Phase"] == 1
    assert table["Euler2"][inside].max() < 0.1
    export_grain(grain, tmp_path / "g.orix.h5")
    with h5py.File(tmp_path / "g.orix.h5") as file:
        assert "relative" in file["recon3d_notes"].asstr()[()]


def test_orix_reads_both_of_its_formats(crystal, orix, tmp_path):
    kept = Slice("z", 1)
    expected = np.radians(map_of(crystal, kept).euler_deg)
    inside = kept.image(crystal.mask)
    assert inside.any()
    for name, phase in (("g.orix.h5", 0), ("g.ctf", 1)):
        (path,) = export_grain(crystal, tmp_path / name, at_um=3.0)
        found = orix.io.load(path)
        assert found.shape == inside.shape
        assert found.phases[phase].space_group.number == 225
        np.testing.assert_array_equal(found.phase_id == phase, inside.ravel())
        assert (found.dx, found.dy) == pytest.approx((2.0, 1.5))
        rotations = orix.quaternion.Rotation.from_euler(expected[inside.ravel()])
        apart = found.rotations[inside.ravel()] * ~rotations
        assert np.degrees(apart.angle).max() < 1e-4
    own = orix.io.load(tmp_path / "g.orix.h5")
    np.testing.assert_allclose(own.x.reshape(inside.shape)[0], [0, 2, 4, 6, 8])
    place = own.prop["x_um"].reshape(inside.shape)[0]
    np.testing.assert_allclose(place, crystal.volume.axis_um(0))
    np.testing.assert_allclose(own.prop["z_um"], crystal.volume.axis_um(2)[1])
    np.testing.assert_allclose(own.prop["strain"], kept.image(crystal.strain).ravel())


def test_all_slices_of_the_grain_are_numbered(crystal, tmp_path):
    paths = export_grain(crystal, tmp_path / "g.ctf", across="x", every_slice=True)
    assert [path.name for path in paths] == ["g_1.ctf", "g_2.ctf", "g_3.ctf"]
    assert {one.name for one in tmp_path.iterdir()} == {path.name for path in paths}


def text_of(item, name: str) -> str:
    """A text as DREAM3D-NX reads it: of fixed length, with a zero at its end."""
    kind = h5py.h5a.open(item.id, name.encode()).get_type()
    assert not kind.is_variable_str()
    assert kind.get_strpad() == h5py.h5t.STR_NULLTERM
    return item.attrs[name].decode()


def test_dream3d_holds_an_image_geometry_in_order_z_y_x(crystal, tmp_path):
    (path,) = export_grain(crystal, tmp_path / "g.dream3d")
    with h5py.File(path) as file:
        assert text_of(file, "FileVersion") == "8.0"
        image = file["DataStructure/Grain"]
        assert text_of(image, "ObjectType") == "ImageGeom"
        assert text_of(image["Cell Data/strain"], "ObjectType") == "DataArray<float32>"
        assert text_of(image["Cell Data/mask"], "ObjectType") == "DataArray<uint8>"
        assert image.attrs["_DIMENSIONS"].tolist() == [5, 4, 3]
        assert image.attrs["_ORIGIN"].tolist() == [-4, -5, 1.5]
        assert image.attrs["_SPACING"].tolist() == [2, 1.5, 1]
        cells = image["Cell Data"]
        assert image.attrs["Cell Data ID"] == cells.attrs["ObjectId"]
        assert cells.attrs["TupleDims"].tolist() == [3, 4, 5]
        for name, stored in cells.items():
            assert stored.attrs["TupleDimensions"].tolist() == [3, 4, 5], name
            assert stored.shape == (3, 4, 5, *stored.attrs["ComponentDimensions"]), name
        np.testing.assert_array_equal(cells["strain"][..., 0], crystal.strain.T)
        turned_back = np.moveaxis(cells["orientation"][()], (0, 1, 2), (2, 1, 0))
        np.testing.assert_array_equal(turned_back, crystal.orientation)
        eulers = np.moveaxis(cells["EulerAngles"][()], (0, 1, 2), (2, 1, 0))[crystal.mask]
        expected = np.radians(euler_bunge_deg(crystal.rotations().as_matrix()))
        np.testing.assert_allclose(eulers, expected, atol=1e-6)
        assert image["Cell Ensemble Data/CrystalStructures"][1].tolist() == [1]  # m-3m
        ids = [image.attrs["ObjectId"]]
        image.visititems(lambda _, item: ids.append(item.attrs["ObjectId"]))
        assert len(set(ids)) == len(ids)
        assert file["DataStructure"].attrs["NextObjectId"] > max(ids)


def test_ome_zarr_is_valid_and_holds_every_channel_at_its_place(crystal, tmp_path):
    for _ in range(2):  # the second replaces the first
        (path,) = export_grain(crystal, tmp_path / "g.ome.zarr")
    assert [one.name for one in tmp_path.iterdir()] == ["g.ome.zarr"]
    group = zarr.open_group(path, mode="r")
    image = Image.from_zarr(group)
    ome = image.attributes.ome
    assert ome.version == "0.5"
    scale, move = ome.multiscales[0].datasets[0].coordinateTransformations
    assert scale.scale == [1, 1, 1.5, 2]
    assert move.translation == [0, 2, -4.25, -3]
    labels = [channel["label"] for channel in group.attrs["ome"]["omero"]["channels"]]
    stored = group["0"]
    for name, values in (("strain", crystal.strain), ("orientation_b", crystal.b_deg)):
        np.testing.assert_array_equal(stored[labels.index(name)], values.T)
    (tmp_path / "other.ome.zarr").mkdir()
    with pytest.raises(ParameterError, match="no Zarr group"):
        export_grain(crystal, tmp_path / "other.ome.zarr")


def test_an_ome_zarr_that_cannot_be_written_leaves_the_former_one(crystal, tmp_path, monkeypatch):
    (path,) = export_grain(crystal, tmp_path / "g.ome.zarr")

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", fail)
    with pytest.raises(OutputError, match=r"g\.ome\.zarr cannot be written: the disk is full"):
        export_grain(crystal, path)
    assert [one.name for one in tmp_path.iterdir()] == ["g.ome.zarr"]
    assert zarr.open_group(path, mode="r")["0"].shape[1:] == crystal.mask.T.shape


def test_a_table_holds_each_voxel_of_the_mask(crystal, tmp_path):
    (path,) = export_grain(crystal, tmp_path / "g.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == crystal.mask.sum()
    index = tuple(np.argwhere(crystal.mask)[7])
    row = {name: float(value) for name, value in rows[7].items()}
    place = [crystal.volume.axis_um(axis)[i] for axis, i in enumerate(index)]
    assert [row["x_um"], row["y_um"], row["z_um"]] == pytest.approx(place)
    assert row["orientation_a"] == pytest.approx(crystal.a_deg[index], rel=1e-6)
    assert row["strain"] == pytest.approx(crystal.strain[index], rel=1e-6)


def test_xarray_has_axes_units_and_parameters(crystal):
    found = crystal.to_xarray()
    assert isinstance(found, xarray.Dataset)
    a = found.orientation.sel(tilt="a").sel(x=1.0, y=-2.75, z=2.0)
    assert float(a) == crystal.a_deg[2, 1, 0]
    assert found.orientation.units == "degree"
    assert found.attrs["handedness"] == -1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("g.stl", {}, "names no format: expected one of .vti"),
        ("g.vti", {"at_um": 0.0}, "holds the whole grain"),
        ("g.ctf", {"at_um": 99.0}, "goes from 1.5 to 4.5 µm along z"),
        ("g.ctf", {"across": "w"}, "expected one of x, y, z"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(crystal, tmp_path, name, options, words):
    with pytest.raises(ParameterError, match=words):
        export_grain(crystal, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ParameterError, match="expected scipy or orix"):
        crystal.rotations("quaternions")
