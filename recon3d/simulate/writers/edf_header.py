"""Headers of EDF frames as ID06 writes them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from recon3d.config.goniometer import GONIOMETERS
from recon3d.errors import ParameterError
from recon3d.readers.source import MotorTable
from recon3d.simulate.motion import MOVED
from recon3d.simulate.scan_plan import ScanPlan

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
