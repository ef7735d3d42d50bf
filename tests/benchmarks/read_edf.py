"""How quickly a folder of EDF files is read, against reading its bytes and against fabio.

Run as ``python tests/benchmarks/read_edf.py --files 2000 --size 300 --roi 100``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fabio
import numpy as np

from recon3d.cleaning.sharing import read_projections
from recon3d.readers.edf.folder import EdfFolder
from recon3d.readers.source import Roi
from recon3d.scan.coordinates import Choices
from recon3d.scan.scan import Scan, arrange_scan

NAMES = "trash mono x2z s5hg diffrz diffry difftz obpitch chi phi energy smx smy smz"


def write_folder(folder: Path, files: int, size: int) -> int:
    """Write a rocking scan of frames of noise; returns the number of files."""
    image = np.random.default_rng(0).poisson(100, (size, size)).astype(np.uint16)
    for i in range(files):
        positions = dict.fromkeys(NAMES.split(), 0.0)
        positions["diffry"], positions["diffrz"] = 0.8 * (i // 50), 0.032 * (i % 50)
        header = {
            "counter_pos": "5 167.777 -nan",
            "counter_mne": "sec srcur foc1",
            "motor_pos": " ".join(f"{value:.6g}" for value in positions.values()),
            "motor_mne": NAMES,
            "dir": "x" * 1500,
        }
        fabio.edfimage.EdfImage(data=image, header=header).write(str(folder / f"b_{i:05d}.edf"))
    return files


def timed(work: Callable[[], object], repeats: int) -> float:
    """Shortest of some runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def read_bytes(folder: Path) -> None:
    """Open every file and read all of its bytes."""
    for path in sorted(folder.iterdir()):
        with path.open("rb", buffering=0) as file:
            file.read()


def read_fabio(folder: Path) -> None:
    """Open every file with fabio and take its image and its motors."""
    for path in sorted(folder.iterdir()):
        with fabio.open(str(path)) as image:
            _ = image.data, image.header["motor_pos"]


def read_frames(source: EdfFolder, roi: Roi) -> None:
    """Read every frame, and forget it."""
    for i in range(len(source.files)):
        source.read(i, roi)


def read_scan(scan: Scan) -> None:
    """Read every projection."""
    for k in range(scan.shape[0]):
        scan.read_projection(k)


ROUNDS = 4
"""How often `read_stream` goes through a scan, since its first two projections cost more."""


def read_stream(scan: Scan) -> None:
    """Read every projection as `getdata` does, into arrays that take turns."""
    numbers = [*range(scan.shape[0])] * ROUNDS
    for _ in read_projections(scan, numbers, skip_damaged=False, show=False):
        pass


def measure(folder: Path, files: int, size: int, roi: int, repeats: int) -> None:
    """Print the times for one folder."""
    source = EdfFolder.open(folder, "b_", show_progress=False)
    scan = arrange_scan(source, Choices())
    cut = scan.crop((size // 2, size // 2), (roi, roi))
    whole = Roi.whole(source.frame_shape)
    work: dict[str, Callable[[], object]] = {
        "raw bytes": lambda: read_bytes(folder),
        "our headers": lambda: EdfFolder.open(folder, "b_", show_progress=False),
        "our frames, one by one": lambda: read_frames(source, whole),
        "our frames, by projection": lambda: read_scan(scan),
        f"our ROI {roi} x {roi}, by projection": lambda: read_scan(cut),
        "our frames, as getdata reads": lambda: read_stream(scan),
        "our bins of 2 x 2, likewise": lambda: read_stream(scan.binned(2)),
        "fabio": lambda: read_fabio(folder),
    }
    times = {name: timed(call, repeats) for name, call in work.items()}
    for name in ("our frames, as getdata reads", "our bins of 2 x 2, likewise"):
        times[name] /= ROUNDS
    raw = times["raw bytes"]
    for name, seconds in times.items():
        print(f"{name:34s} {seconds:8.3f} s  {seconds / files * 1e6:8.1f} us a file", end="")
        print(f"  {seconds / raw:6.2f} x raw")
    total = times["our headers"] + times["our frames, as getdata reads"]
    print(f"{'our headers and frames':34s} {total:8.3f} s {'':19s}  {total / raw:6.2f} x raw")


def main() -> None:
    """Read the options, write a folder, measure, and remove it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500, help="a multiple of 50")
    parser.add_argument("--size", type=int, default=300, help="edge of a frame in pixels")
    parser.add_argument("--roi", type=int, default=100, help="edge of the ROI in pixels")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write_folder(Path(folder), options.files, options.size)
        measure(Path(folder), files, options.size, options.roi, options.repeats)


if __name__ == "__main__":
    main()
