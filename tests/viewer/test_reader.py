"""The plugin through which napari opens grain.h5."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.viewer.launch import dock_of, get_reader

npe2 = pytest.importorskip("npe2")


def test_the_manifest_is_valid_and_found_by_its_entry_point():
    manifest = npe2.PluginManifest.from_distribution("recon3d")
    assert manifest.name == "recon3d"
    for command in manifest.contributions.commands:
        assert callable(_import(command))


def _import(command):
    from importlib import import_module

    module, name = command.python_name.split(":")
    return getattr(import_module(module), name)


def test_a_grain_becomes_layers(grain_path):
    reader = get_reader(str(grain_path))
    layers = reader(str(grain_path))
    names = [options["name"] for _, options, _ in layers]
    assert names[-2:] == ["orientation", "surface"]
    assert {kind for *_, kind in layers} == {"image", "surface"}
    rgba = layers[-2][0]
    red, green, blue, alpha = np.moveaxis(rgba[10, 10, 8:9], -1, 0)
    assert alpha == 255
    assert red > green
    assert red > blue
    assert get_reader([str(grain_path)]) is not None


def test_other_files_are_left_to_others(tmp_path):
    text = tmp_path / "notes.h5"
    text.write_text("no HDF5")
    assert get_reader(str(text)) is None
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    assert get_reader(str(other)) is None
    assert get_reader(str(tmp_path / "missing.h5")) is None


@pytest.mark.usefixtures("app")
def test_napari_opens_a_dropped_grain_and_its_dock(grain_path):
    import napari

    viewer = napari.Viewer(show=False)
    try:
        with pytest.raises(ParameterError, match="drag a grain"):
            dock_of(viewer)
        plugins = npe2.PluginManager.instance()
        if "recon3d" not in plugins:
            # The plugin manager of tests discovers nothing by itself.
            plugins.register(npe2.PluginManifest.from_distribution("recon3d"))
        viewer.open(str(grain_path), plugin="recon3d")
        assert viewer.layers[-1].name == "surface"
        assert viewer.layers["orientation"].rgb
        assert "values" in vars(viewer.layers["orientation"].data)
        # Hidden layers wait until somebody looks at them.
        strain = viewer.layers["strain (10⁻⁶)"]
        assert "values" not in vars(strain.data)
        strain.visible = True
        assert "values" in vars(strain.data)
        count = len(viewer.layers)
        dock_of(viewer)
        assert len(viewer.layers) == count
        assert viewer.dims.ndisplay == 3
    finally:
        viewer.close()


def test_the_library_is_imported_without_napari():
    code = (
        "import recon3d.viewer.launch, sys; print('napari' in sys.modules, 'qtpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
