"""`recon3d analyse`, `maps` and `export` as a user types them."""

import csv
from dataclasses import replace

import h5py
import numpy as np
import pytest
from matplotlib.image import imread
from silx.io import nxdata
from store_files import make_frames, write

from recon3d.analysis.projection_maps import cleaned_projections, mosaicity, write_maps
from recon3d.cleaning.pipeline import clean
from recon3d.cli.main import main
from recon3d.config.cleaning import Cleaning
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.files.store import open_store
from recon3d.scan.scan import open_scan
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.writers.edf_scan import simulate_scan


@pytest.fixture
def halves(tmp_path):
    """Two halves of a box, 0.03° apart, on 12 x 10 x 10 voxels of 0.5 µm, saved."""
    volume = Volume((0.0, 0.0, 0.0), (6.0, 5.0, 5.0), (12, 10, 10))
    rng = np.random.default_rng(0)
    orientation = rng.normal(size=(12, 10, 10, 2)).astype(np.float32) * 0.001
    orientation[7:, ..., 0] += 0.03
    one = np.ones(volume.shape, np.float32)
    known = {"sg_no": 225, "unit_cell": [4.0495, 4.0495, 4.0495, 90, 90, 90]}
    error = np.full(orientation.shape, 0.001, np.float32)
    grain = Grain(
        volume, one, one > 0, orientation, one, one, provenance=known, orientation_error=error
    )
    grain.save(tmp_path / "grain.h5")
    return tmp_path / "grain.h5"


def test_analyse_leaves_tables_maps_figures_and_words(halves, capsys):
    assert main(["analyse", str(halves), "--quiet"]) == 0
    said = capsys.readouterr().out
    folder = halves.parent / "analysis"
    assert said == (folder / "summary.txt").read_text("utf-8")
    assert said.startswith("2 cells (threshold: chosen by the data) in 150 µm³")
    assert "noise alone would show" in said
    with (folder / "cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    # A noise of 1 mdeg at a step of 30 moves the shares of 100 voxels of 0.125 µm³.
    volumes = [float(row["volume_um3"]) for row in rows]
    assert volumes == pytest.approx([87.5, 62.5], abs=0.15)
    # A box whose occupancy is 1 in the mask: what is left is that voxels are whole or not at all.
    counted = [np.sqrt(faces / 1.5 / 12) * 0.125 for faces in (7 * 40 + 200, 5 * 40 + 200)]
    assert [float(row["volume_error_um3"]) for row in rows] == pytest.approx(counted)
    with (folder / "boundaries.csv").open() as file:
        (boundary,) = csv.DictReader(file)
    assert float(boundary["misorientation_deg"]) == pytest.approx(0.03, abs=2e-4)
    assert float(boundary["area_um2"]) == 25
    with h5py.File(folder / "analysis.h5") as file:
        assert list(file.attrs["doubts"]) == []
        shown = nxdata.get_default(file)
        assert shown.group.name == "/entry/cells_middle"
        fullest = int(np.argmax(Grain.load(halves).mask.sum(axis=(1, 2))))
        np.testing.assert_array_equal(shown.signal, file["entry/cells/cells"][fullest])
        for name in ("cells", "misorientation", "dislocations"):
            assert nxdata.NXdata(file["entry"][name]).issues == []
        assert nxdata.NXdata(file["entry/misorientation"]).errors is not None
        shown = nxdata.NXdata(file["entry/table_of_cells"])
        assert shown.is_curve
        np.testing.assert_allclose(shown.signal, volumes, rtol=1e-6)
        np.testing.assert_allclose(shown.errors, counted)
        angles = nxdata.NXdata(file["entry/table_of_boundaries"])
        assert angles.issues == shown.issues == []
        np.testing.assert_allclose(angles.signal, [0.03], atol=2e-4)
        assert file["entry/table_of_cells/volume_um3"].attrs["units"] == "um^3"
        labels = file["entry/cells/cells"][()]
    assert set(np.unique(labels[:7])) == {1}
    assert set(np.unique(labels[7:])) == {2}
    for picture in ("cells", "misorientation", "dislocations"):
        assert imread(folder / f"{picture}.png")[..., :3].std() > 0.05, picture


def test_analyse_takes_a_threshold_and_does_without_a_burgers_vector(halves, capsys):
    grain = Grain.load(halves)
    grain.provenance.clear()
    grain.save(halves)
    out = halves.parent / "other"
    assert main(["analyse", str(halves), str(out), "--threshold", "0.1", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 cells (threshold: 0.1°)")
    assert "give burgers_nm" in said
    assert not (out / "dislocations.png").exists()
    assert main(["analyse", str(halves), "--threshold", "-1", "--quiet"]) == 1
    assert "threshold_deg is -1.0" in capsys.readouterr().err


def test_export_goes_by_the_ending(halves, capsys):
    out = halves.parent
    for name in ("g.vti", "g.dream3d", "g.csv", "g.orix.h5", "g.ome.zarr"):
        assert main(["export", str(halves), str(out / name), "--quiet"]) == 0
        assert (out / name).exists()
    call = ["export", str(halves), str(out / "s.ctf"), "--across", "y", "--all", "--quiet"]
    assert main(call) == 0
    assert len(list(out.glob("s_*.ctf"))) == 10
    assert main(["export", str(halves), str(out / "g.stl"), "--quiet"]) == 1
    assert "names no format" in capsys.readouterr().err


def test_maps_of_a_cleaned_scan_are_those_of_each_projection(tmp_path, capsys):
    frames = make_frames()
    store = write(tmp_path / "scan.h5", frames)
    out = tmp_path / "maps.h5"
    assert main(["maps", str(tmp_path / "scan.h5"), str(out), "--quiet"]) == 0
    with h5py.File(out) as file:
        assert nxdata.get_default(file).interpretation == "rgba-image"
        groups = {n: g for n, g in file["entry"].items() if g.attrs.get("NX_class") == "NXdata"}
        for name, group in groups.items():
            assert nxdata.NXdata(group).issues == [], name
        for k in range(3):
            found = mosaicity(store[k])
            for name, values in found.maps().items():
                np.testing.assert_allclose(
                    file[f"entry/{name}/{name}"][k], values.astype(np.float32), rtol=1e-6
                )
        assert file["entry/fwhm_mu/fwhm_mu"].attrs["units"] == "degree"
        assert file["entry/process/program"].asstr()[()] == "recon3d"
    assert main(["maps", str(tmp_path / "scan.h5"), str(tmp_path / "scan.h5")]) == 1
    assert "choose another name" in capsys.readouterr().err
    assert main(["maps", "a", "b", "c"]) == 1
    assert "expected SCAN.h5 OUT.h5, or the 14" in capsys.readouterr().err


def test_frames_cleaned_on_the_way_are_those_of_the_store(write_folder, tmp_path):
    positions = [
        {"diffry": omega, "diffrz": 5 + 0.1 * i, "phi": 0.0, "chi": 0.1 * j}
        for omega in (0.0, 10.0)
        for i in range(3)
        for j in range(2)
    ]
    scan = open_scan(write_folder(positions), "topo_", show_progress=False, tilt_azimuth_deg=90)
    cleaning = Cleaning(framebg=0, binth=1, min_region_pix=1, hot_pixels=0)
    store = clean(scan, cleaning, tmp_path / "scan.h5", show_progress=False)
    for k, projection in enumerate(cleaned_projections(scan, cleaning)):
        np.testing.assert_allclose(projection.frames, store.read_projection(k), rtol=1e-6)
    path = write_maps(scan, cleaned_projections(scan, cleaning), tmp_path / "maps.h5")
    with h5py.File(path) as file:
        np.testing.assert_allclose(file["entry/total/total"], store.summed, rtol=1e-5)


def test_maps_take_the_arguments_of_getdata_and_what_the_data_suggest(tmp_path):
    plan = replace(
        demo_plan(), omega_deg=(0.0, 60.0, 120.0), rows=56, cols=60, magnification_pix_per_um=4.0
    )
    grain = make_phantom(size_um=8.0, spread_deg=0.05, seed=4)
    simulate_scan(tmp_path / "scan", grain, plan, voxels=20, show_progress=False)
    call = f"{tmp_path}/scan topotomo_ - - - - {tmp_path} out -3.5 1.2 0.032 7 - -".split()
    assert main(["maps", *call, str(tmp_path / "maps.h5"), "--quiet"]) == 0
    assert main(["getdata", *call, "--quiet"]) == 0
    store = open_store(tmp_path / "out" / "scan.h5")
    with h5py.File(tmp_path / "maps.h5") as file:
        np.testing.assert_allclose(file["entry/total/total"], store.summed, rtol=1e-4, atol=1e-3)
    call[4:6], call[12:] = ["30,28", "60,56"], ["6", "12"]
    raw = [*call, str(tmp_path / "raw.h5"), "--raw", "--background", "5", "--quiet"]
    assert main(["maps", *raw]) == 0
    with h5py.File(tmp_path / "raw.h5") as file:
        assert file["entry/total/total"].shape == (3, 56, 60)
        assert file["entry/process/parameters/background"][()] == 5
