"""The grain as ParaView reads it, from .vti, .vtkhdf and .xdmf."""

import numpy as np
import pytest
import pyvista

from recon3d.files.exports.volumes import write_vti, write_vtkhdf, write_xdmf


def write_plain(grain, path):
    write_vti(grain, path)
    return path


def write_compressed(grain, path):
    write_vtkhdf(grain, path.with_suffix(".vtkhdf"))
    return path.with_suffix(".vtkhdf")


both = pytest.mark.parametrize("write", [write_plain, write_compressed])


def read_cells(path, shape):
    """The cell data as (nx, ny, nz) arrays: VTK's x runs fastest."""
    image = pyvista.read(path)
    cells = {name: np.asarray(image.cell_data[name]) for name in image.cell_data}
    return image, {
        name: values.reshape((*shape, *values.shape[1:]), order="F")
        for name, values in cells.items()
    }


@both
def test_paraview_would_read_back_every_array(grain, tmp_path, write):
    path = write(grain, tmp_path / "grain.vti")
    assert list(tmp_path.iterdir()) == [path]
    _, cells = read_cells(path, grain.volume.shape)
    expected = {
        "occupancy": grain.occupancy,
        "mask": grain.mask.astype(np.uint8),
        "orientation": np.concatenate([grain.orientation, 0 * grain.orientation[..., :1]], axis=-1),
        "orientation_a": grain.orientation[..., 0],
        "orientation_b": grain.orientation[..., 1],
        "orientation_spread": grain.orientation_spread,
        "completeness": grain.completeness,
        "strain": grain.strain,
    }
    assert set(cells) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(cells[name], values, err_msg=name)


@both
def test_every_voxel_lies_where_it_is(grain, tmp_path, write):
    image, cells = read_cells(write(grain, tmp_path / "g.vti"), grain.volume.shape)
    for index in [(0, 0, 0), (4, 0, 0), (0, 3, 0), (0, 0, 2), (2, 1, 1)]:
        centre = [grain.volume.axis_um(axis)[i] for axis, i in enumerate(index)]
        cell = image.find_containing_cell(centre)
        assert image.cell_data["occupancy"][cell] == grain.occupancy[index]
        np.testing.assert_allclose(image.get_cell(cell).center, centre)
    assert image.bounds == pytest.approx((-4, 6, -5, 1, 1.5, 4.5))
    assert cells["mask"].sum() == 12


def test_the_payload_is_appended_raw_binary(grain, tmp_path):
    text = write_plain(grain, tmp_path / "g.vti").read_bytes()
    assert b'<AppendedData encoding="raw">' in text


def test_no_strain_where_none_was_scanned(grain_factory, tmp_path):
    grain = grain_factory(strain=False)
    image = pyvista.read(write_plain(grain, tmp_path / "g.vti"))
    assert "strain" not in image.cell_data


def test_every_array_is_read_where_it_lies(grain, tmp_path):
    grain.save(tmp_path / "grain.h5")
    path = write_xdmf(grain, tmp_path / "grain.h5")
    assert {one.name for one in tmp_path.iterdir()} == {"grain.h5", "grain.xdmf", "grain_xdmf.h5"}
    mesh = pyvista.read(path)
    assert isinstance(mesh, pyvista.ImageData)
    assert mesh.n_cells == grain.mask.size
    assert mesh.bounds == pytest.approx((-4, 6, -5, 1, 1.5, 4.5))
    names = {*grain.arrays(), "orientation_a", "orientation_b"}
    assert set(mesh.cell_data.keys()) == names
    a, b = np.moveaxis(grain.orientation, -1, 0)
    known = [*grain.arrays().items(), ("orientation_a", a), ("orientation_b", b)]
    vectors = np.concatenate([grain.orientation, 0 * grain.orientation[..., :1]], axis=-1)
    for index in np.ndindex(grain.volume.shape):
        cell = mesh.find_containing_cell(
            [grain.volume.axis_um(axis)[i] for axis, i in enumerate(index)]
        )
        for name, values in known:
            expected = vectors[index] if name == "orientation" else values[index]
            np.testing.assert_equal(mesh.cell_data[name][cell], expected, err_msg=name)
