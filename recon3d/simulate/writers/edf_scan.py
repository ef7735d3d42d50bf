"""A whole simulated scan: EDF frames as ID06 writes them, the truth, and an .ini file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.config.goniometer import GONIOMETERS
from recon3d.errors import ParameterError
from recon3d.readers.source import MotorTable
from recon3d.runtime.atomic import complete_or_absent, make_folder
from recon3d.runtime.progress import track
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.faults import Fault, spoil, with_faults
from recon3d.simulate.forward_model import PointCloud, ideal_frames, point_cloud
from recon3d.simulate.phantom import Phantom
from recon3d.simulate.scan_plan import MOVED, ScanPlan, as_recorded, recorded_motors
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.experiment_ini import write_experiment_ini

_TRIAL_PROJECTIONS = 6


@checked(voxels=">= 1, <= 2000", dark_frames=">= 0")
def simulate_scan(
    out: str | Path,
    phantom: Phantom,
    plan: ScanPlan,
    detector: SimulatedDetector | None = None,
    *,
    prefix: str = "topotomo_",
    results: str = "results",
    voxels: int = 48,
    dark_frames: int = 0,
    overwrite: bool = False,
    faults: Sequence[Fault] = (),
    show_progress: bool = True,
) -> Path:
    """Simulate a scan and write it as a folder of EDF frames.

    Beside the frames `<prefix>NNNN.edf`, numbered in order of time, are `truth.h5`,
    `experiment.ini` and, if wanted, `background/dark_NNNN.edf`.

    Parameters
    ----------
    out
        The folder.
    phantom
        The planted grain.
    plan
        What the scan does.
    detector
        The detector and the beam; the usual one where None.
    prefix
        What the names of the frames begin with.
    results
        The value of `path` in experiment.ini, counted from `out`.
    voxels
        Voxels along each axis of the box in experiment.ini.
    dark_frames
        Number of background frames, taken with the beam off.
    overwrite
        True to replace frames of that prefix that are in the folder already.
    faults
        What is wrong with the scan.
    show_progress
        False for no progress bar.

    Returns
    -------
    out
        The folder.

    Raises
    ------
    ParameterError
        There are such frames already, or the grain lights no pixel.

    Examples
    --------
    >>> import recon3d as r3
    >>> phantom = r3.simulate.make_phantom("subgrains", size_um=9.5, spread_deg=0.05, seed=4)
    >>> plan = r3.simulate.demo_plan()
    >>> folder = r3.simulate.simulate_scan("planted", phantom, plan, voxels=48)  # doctest: +SKIP
    """
    out = Path(out)
    prepare_folder(out, prefix, overwrite=overwrite)
    truth = with_faults(Truth(phantom, plan, detector or SimulatedDetector()), faults)
    truth.save(out / "truth.h5")
    phantom, plan, detector = truth.phantom, truth.plan, truth.detector
    write_experiment_ini(out / "experiment.ini", phantom, plan, results=results, voxels=voxels)
    header = ScanHeader(scan_command(plan), prefix, out.name)
    if dark_frames:
        folder, darks = out / "background", replace(header, prefix="dark_")
        prepare_folder(folder, "dark_", overwrite=overwrite)
        for number, frame in enumerate(detector.darks(plan.recorded_shape, dark_frames)):
            encoded = darks.encode(frame.shape, 0, {}, None)
            write_edf(frame_path(folder, "dark_", number), frame, encoded)
    projections = simulated_projections(truth, show_progress=show_progress)

    def write(number: int, frame: NDArray[np.uint16], motors: MotorTable) -> None:
        f = number % plan.frames
        current = float(motors.ring_current_ma[f]) if detector.record_current else None
        encoded = header.encode(frame.shape, number, motor_readings(motors, f), current)
        write_edf(frame_path(out, prefix, number), frame, encoded)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for k, (frames, motors) in enumerate(projections):
            numbers = range(k * plan.frames, (k + 1) * plan.frames)
            # Asking for all results lets an error in any thread be heard.
            list(threads.map(write, numbers, frames, repeat(motors)))
    return out


@checked()
def simulated_projections(
    truth: Truth, *, show_progress: bool = False
) -> Iterator[tuple[NDArray[np.uint16], MotorTable]]:
    """Simulate a scan with its faults, one projection at a time.

    Yields
    ------
    frames, shape (frames, rows, cols)
        Recorded images in order of time.
    motors, shape (frames,)
        Recorded readings, the ring current as it was.
    """
    plan, detector = truth.plan, truth.detector
    cloud = point_cloud(truth.phantom, plan)
    brightest = _brightest(cloud, plan)
    counts_per_unit = detector.peak_counts / brightest
    static = detector.static(plan.recorded_shape)
    total = plan.projections * plan.frames

    def expose(image: NDArray[np.float32], number: int) -> NDArray[np.uint16]:
        beam = detector.current_ma(number, total) / detector.ring_current_ma
        return detector.expose(image * (counts_per_unit * beam), static, number)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        numbered = range(plan.projections)
        for k in track(numbered, "simulate", unit="projection", show=show_progress):
            upright = spoil(ideal_frames(cloud, plan, k), truth, k, brightest)
            light = as_recorded(upright, plan.flip, plan.transpose)
            numbers = range(k * plan.frames, (k + 1) * plan.frames)
            frames = np.stack(list(threads.map(expose, light, numbers)))
            current = np.array([detector.current_ma(number, total) for number in numbers])
            motors = recorded_motors(plan, k, detector.seed)
            yield frames, replace(motors, ring_current_ma=current)


def _brightest(cloud: PointCloud, plan: ScanPlan) -> float:
    """The brightest pixel of a few projections, to which the counts are scaled."""
    trials = np.unique(np.linspace(0, plan.projections - 1, _TRIAL_PROJECTIONS).astype(int))
    brightest = max(float(ideal_frames(cloud, plan, int(k)).max()) for k in trials)
    if not brightest > 0:
        raise ParameterError(
            "the grain lights no pixel: is its orientation spread inside the range of the scan, "
            "and its place inside the image?"
        )
    return brightest


def prepare_folder(folder: Path, prefix: str, *, overwrite: bool) -> None:
    """Make a folder for frames; refuse, or overwrite, frames of that prefix in it."""
    if "/" in prefix or "\\" in prefix:
        raise ParameterError(f"prefix '{prefix}': expected the beginning of a file name, no path")
    make_folder(folder)
    old = [
        path
        for path in folder.glob("*.edf")
        if path.name.startswith(prefix) and path.stem[len(prefix) :].isdigit()
    ]
    if old and not overwrite:
        raise ParameterError(
            f"{folder} already holds {len(old)} frames '{prefix}NNNN.edf': choose another folder "
            "or prefix, or overwrite them"
        )
    for path in old:
        path.unlink()


def write_edf(path: Path, image: NDArray[np.uint16], header: bytes) -> None:
    """Write one frame, counts (rows, cols): its header, then the counts, low byte first."""
    with complete_or_absent(path, tidy=False) as temporary, temporary.open("wb") as file:
        file.write(header)
        file.write(np.ascontiguousarray(image, "<u2").data)


def frame_path(folder: Path, prefix: str, number: int) -> Path:
    """Path of a frame; from the ten thousandth on the number has five digits."""
    return folder / f"{prefix}{number:04d}.edf"


HEADER_BYTES = 3072
_BLOCK_BYTES = 512
_START_EPOCH = 1499212800.0
_COUNT_TIME_S = 1.0
_OVERHEAD_S = 0.25

_STANDING_MOTORS = (
    ("trash", 0.0), ("mono", 8.26413), ("x2z", 7.30112), ("s5hg", 2.0), ("s5ho", -0.05833),
    ("s5vg", 2.0), ("s5vo", 2.71204), ("s3hg", 4.0), ("s3ho", 0.47), ("s3vg", 4.0),
    ("s3vo", -2.25), ("ffy", -0.149), ("ffz", 2210.5), ("ffpitch", 0.0), ("hxx", -0.011),
    ("hxy", 0.36), ("hxz", 3.71), ("cdx", 115.0), ("cdy", -18.5), ("cdz", -5.75),
    ("icx", 50.0), ("obx", 331.9), ("oby", 0.6885), ("obz", 152.604), ("obpitch", 0.0),
    ("obyaw", -0.00459375), ("difftz", 0.0), ("diffry", 0.0), ("diffrz", 0.0),
    ("diffty", -6.4), ("corz", 0.4), ("corx", 1.98), ("chi", 0.0), ("phi", 0.0),
    ("detz", 9.15), ("dety", 1890.0), ("detx", 91.4), ("s4hg", 1.0), ("s4ho", 0.16),
    ("s4vg", 1.0), ("s4vo", 1.09653), ("auxx", 500.0), ("dcx", 560.0), ("nfx", 110.0),
    ("nfy", 98.0), ("nfz", 51.15), ("mainx", -4850.0), ("bstop", -1.83986e-05), ("smx", -0.35),
    ("smy", -3.53), ("smz", 1.21), ("furnz", 45.06), ("lenssel", 4.62), ("smfoc", -3.49836),
)  # fmt: skip
_STANDING_COUNTERS = (
    ("sec", 1.0), ("srcur", 0.0), ("pico1", 4.71e-06), ("pico2", 4.4e-14), ("pico3", -6.1e-14),
    ("ffavg", 101.4), ("ffstd", 7.09), ("europv", 0.0), ("p201_1", 134422.0), ("mc5", 0.0),
    ("foc1", float("nan")),
)  # fmt: skip


@dataclass(frozen=True)
class ScanHeader:
    """What the headers of a scan's frames say alike."""

    scan: str  # the command that took the frames
    prefix: str  # what the files' names begin with
    folder: str

    def encode(
        self, shape: tuple[int, ...], number: int, motors: dict[str, float], current: float | None
    ) -> bytes:
        """Text of the header of a frame, padded as EDF wants it.

        `motors`: readings by motor name; the others stand still. `current`: of the ring, in mA;
        None where it is not recorded.
        """
        if _plain(self.prefix) != self.prefix:
            raise ParameterError(
                f"EDF headers cannot hold the prefix '{self.prefix}': use plain letters without ; "
                "{ }"
            )
        fields = self._fields(shape, number) | _readings(motors, current)
        lines = "".join(f"{key:<14} = {value} ;\n" for key, value in fields.items())
        body = f"{{\n{lines}"
        blocks = max(-(-(len(body) + 2) // _BLOCK_BYTES), HEADER_BYTES // _BLOCK_BYTES)
        return (body.ljust(blocks * _BLOCK_BYTES - 2) + "}\n").encode("ascii")

    def _fields(self, shape: tuple[int, ...], number: int) -> dict[str, str | int | float]:
        rows, cols = shape
        epoch = _START_EPOCH + number * (_COUNT_TIME_S + _OVERHEAD_S)
        return {
            "HeaderID": "EH:000001:000000:000000",
            "Image": 1,
            "ByteOrder": "LowByteFirst",
            "DataType": "UnsignedShort",
            "Dim_1": cols,
            "Dim_2": rows,
            "Size": 2 * rows * cols,
            "scan": self.scan,
            # The beamline's own files keep the date and point_no of the first frame.
            "date": time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(_START_EPOCH)),
            "epoch": f"{epoch:.4f}",
            "offset": 0,
            "count_time": f"{_COUNT_TIME_S:g}",
            "point_no": 0,
            "scan_no": 86,
            "preset": 0.1,
            "col_end": cols - 1,
            "col_beg": 0,
            "row_end": rows - 1,
            "row_beg": 0,
            "suffix": ".edf",
            "prefix": self.prefix,
            "dir": _plain(self.folder),
            "run": 0,
            "title": "CCD Image",
        }


def _readings(motors: dict[str, float], current: float | None) -> dict[str, str | int | float]:
    counters, positions = dict(_STANDING_COUNTERS), dict(_STANDING_MOTORS) | motors
    if current is None:
        del counters["srcur"]
    else:
        counters["srcur"] = current
    return {
        "counter_pos": " ".join(map(_number, counters.values())),
        "counter_mne": " ".join(counters),
        "motor_pos": " ".join(map(_number, positions.values())),
        "motor_mne": " ".join(positions),
    }


def scan_command(plan: ScanPlan) -> str:
    """The command of a rocking series, as the header names it."""
    motor = "chi" if plan.kind == "tilts" else "diffrz"
    middle = plan.chi0_deg if plan.kind == "tilts" else plan.origin.base_tilt_deg
    half = plan.mu.half_range_deg
    return f"ascan  {motor} {middle - half:g} {middle + half:g}  {plan.mu.number - 1} 1"


def motor_readings(motors: MotorTable, frame: int) -> dict[str, float]:
    """Readings of one frame under the names of ID06's motors."""
    names = GONIOMETERS["id06"]
    return {getattr(names, part): float(getattr(motors, f"{part}_deg")[frame]) for part in MOVED}


def _number(value: float) -> str:
    return "-nan" if value != value else f"{value:.8g}"


def _plain(text: str) -> str:
    """The text with a ? for every character that an EDF header cannot hold."""
    return "".join("?" if c in ";{}" or not " " <= c <= "~" else c for c in text)
