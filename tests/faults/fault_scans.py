"""Small scans to damage, and calls of the command line on them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import Steps
from recon3d.simulate.writers.bliss_scan import simulate_bliss
from recon3d.simulate.writers.edf_scan import simulate_scan

ROWS, COLS, FRAMES = 32, 36, 120
IMAGE_BYTES = 2 * ROWS * COLS
MOTOR_PLACES = {"diffry": 27, "diffrz": 28, "chi": 32, "phi": 33}


def plan():
    """8 rotation angles x 5 mu x 3 gamma."""
    return replace(
        demo_plan(),
        omega_deg=tuple(22.5 * i for i in range(8)),
        mu=Steps(0.064, 5),
        gamma=Steps(0.032, 3),
        rows=ROWS,
        cols=COLS,
        magnification_pix_per_um=2.5,
    )


def write_scans(folder: Path) -> None:
    """The same scan as EDF files, as a BLISS file, and as one over external files."""
    phantom = make_phantom(size_um=6.0, spread_deg=0.03, seed=4)
    options = {"voxels": 12, "show_progress": False}
    simulate_scan(folder / "edf", phantom, plan(), dark_frames=2, **options)
    simulate_bliss(folder / "bliss", phantom, plan(), **options)
    simulate_bliss(folder / "external", phantom, plan(), external=True, **options)


def getdata(scan: Path, *options: str, **changes: str) -> list[str]:
    """The words of a call that cleans a scan into the folder `out` beside it."""
    is_edf = not (scan / "topotomo.h5").exists()
    arguments = {
        "datadir": str(scan if is_edf else scan / "topotomo.h5"),
        "dataname": "topotomo_" if is_edf else "-",
        "bgdir": "-",
        "bgname": "-",
        "poi": "18,16",
        "imgsize": "36,32",
        "outputpath": str(scan.parent),
        "outputdirname": "out",
        "phi0": "-3.5",
        "chi0": "1.2",
        "angsteps": "0.032",
        "numangsteps": "5,3",
        "framebg": "4",
        "binth": "12",
    } | changes
    return ["getdata", *arguments.values(), "--quiet", "--min-region", "20", *options]


def frame(scan: Path, number: int = 37) -> Path:
    return scan / f"topotomo_{number:04d}.edf"


def frames(scan: Path) -> list[Path]:
    return sorted(scan.glob("topotomo_*.edf"))


def cut(path: Path, count: int) -> None:
    """Cut the last `count` bytes off."""
    os.truncate(path, path.stat().st_size - count)


def set_key(path: Path, key: str, value: str) -> None:
    """Change a line of an EDF header."""
    raw = path.read_bytes()
    line = rb"(?m)^" + key.encode() + rb" *=.*$"
    changed = re.sub(line, f"{key} = {value} ;".encode(), raw, count=1)
    assert changed != raw
    path.write_bytes(changed)


def set_motor(path: Path, motor: str, reading: str) -> None:
    """Change the reading of a motor in an EDF header."""
    raw = path.read_bytes()
    line = re.search(rb"(?m)^motor_pos +=(.*);$", raw)
    assert line is not None
    readings = line[1].split()
    readings[MOTOR_PLACES[motor]] = reading.encode()
    path.write_bytes(raw.replace(line[1], b" " + b" ".join(readings) + b" ", 1))


def image(path: Path) -> np.ndarray:
    return np.frombuffer(path.read_bytes()[-IMAGE_BYTES:], "<u2").reshape(ROWS, COLS)


def set_image(path: Path, counts: np.ndarray, datatype: str | None = None) -> None:
    """Put other counts into an EDF file."""
    path.write_bytes(path.read_bytes()[:-IMAGE_BYTES] + counts.tobytes())
    if datatype:
        set_key(path, "DataType", datatype)
        set_key(path, "Size", str(counts.nbytes))


def set_dataset(path: Path, name: str, value) -> None:
    """Put something else in the place of a part of an HDF5 file."""
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = value


def set_attribute(path: Path, group: str, name: str, value) -> None:
    with h5py.File(path, "r+") as file:
        file[group].attrs[name] = value
        file[group].attrs.pop("_text_sums", None)  # as a program that meant this would write it


def set_ini(path: Path, /, **changes: str | None) -> Path:
    """Change, add or (None) remove keys of an .ini file."""
    kept = [
        line
        for line in path.read_text("utf-8").splitlines()
        if line.split() and line.split()[0] not in changes
    ]
    added = [f"{key} {value}" for key, value in changes.items() if value is not None]
    path.write_text("\n".join([*kept, *added, ""]), "utf-8")
    return path
