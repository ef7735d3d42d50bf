"""The header for ParaView, read back by the reader that ParaView uses."""

import numpy as np
import pytest
import pyvista

from recon3d.files.exports.paraview import write_xdmf


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
