"""A small scan in memory, the raw truth for the tests of the pipeline."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from recon3d.geometry import TiltOrigin
from recon3d.readers.source import FrameSource, MotorTable, Roi
from recon3d.scan.scan import Scan
from recon3d.scan.table import SettingAxis

FRAME_SHAPE = (60, 70)
PROJECTIONS, MU, GAMMA = 4, 3, 3


@dataclass
class MemorySource(FrameSource):
    """Frames in memory that notes what is read of it."""

    frames: np.ndarray
    motors: MotorTable
    read_log: list[int] = field(default_factory=list)
    broken: int = -1

    @property
    def frame_shape(self):
        return self.frames.shape[1:]

    @property
    def dtype(self):
        return self.frames.dtype

    def name(self, index):
        return f"frame_{index:04d}.edf"

    def read_into(self, index, roi: Roi, out):
        if index == self.broken:
            raise OSError(f"{self.name(index)} is broken")
        self.read_log.append(index)
        out[...] = self.frames[index][roi.slices]


def mosaicity_motors() -> MotorTable:
    """Motors of an ID06 scan, omega by omega, mu by mu, gamma by gamma."""
    omega, mu, gamma = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(PROJECTIONS) * 2.0,
            10 + 0.03 * np.arange(MU),
            0.04 * (np.arange(GAMMA) - 1),
            indexing="ij",
        )
    )
    chi, phi = gamma * np.sin(np.radians(omega)), gamma * np.cos(np.radians(omega))
    unknown = np.full(omega.size, np.nan)
    current = 200 - 0.5 * np.arange(omega.size)
    return MotorTable(omega, mu, chi, phi, unknown, unknown, current)


def mosaicity_frames() -> np.ndarray:
    """Dark frames, and in each projection three with a grain; the beam decays."""
    rng = np.random.default_rng(21)
    row, col = np.mgrid[: FRAME_SHAPE[0], : FRAME_SHAPE[1]]
    frames = rng.poisson(30, (PROJECTIONS * MU * GAMMA, *FRAME_SHAPE)) + 60
    for number in range(len(frames)):
        if number % 9 in (3, 4, 7):
            grain = np.hypot(row - 30 - number % 5, col - 35) < 9
            beam = 1 - 0.0025 * number
            frames[number] += rng.poisson(beam * gaussian_filter(300.0 * grain, 1))
    return frames.astype(np.uint16)


@pytest.fixture
def scan() -> Scan:
    source = MemorySource(mosaicity_frames(), mosaicity_motors())
    slots = np.arange(PROJECTIONS * MU * GAMMA).reshape(PROJECTIONS, -1)
    return Scan(
        source=source,
        roi=Roi(row=6, col=10, rows=48, cols=50),
        origin=TiltOrigin(base_tilt_deg=10.03),
        kind="mosaicity",
        axes=(
            SettingAxis("mu", 10 + 0.03 * np.arange(MU)),
            SettingAxis("gamma", 0.04 * (np.arange(GAMMA) - 1)),
        ),
        omega_deg=np.arange(PROJECTIONS) * 2.0,
        slots=slots,
        motors=source.motors.at(slots),
    )
