"""The simulated detector: counts, noise, offset, hot pixels, beam decay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from recon3d.arguments import check_fields, checked

FloatArray = NDArray[np.float64]
_HOT, _FRAME, _DARK, _DEAD = 2, 3, 4, 5
"""First numbers of the seeds, after the user's, so that no two draws share one."""


@dataclass(frozen=True)
class SimulatedDetector:
    """A detector with its faults, and the beam that it sees.

    Parameters
    ----------
    peak_counts
        Counts, without offset, of about the brightest pixel of the scan at full beam.
    offset_counts
        Counts without any light, at the middle of the image.
    offset_gradient_counts
        Growth of the offset from the first row to the last, and from the first column to
        the last.
    readout_noise_counts
        Standard deviation of every reading.
    blur_pix
        Standard deviation of the point spread.
    hot_pixels, hot_counts
        Number of pixels that are always too bright, and by how much at most.
    zingers, zinger_counts, zinger_pix
        Mean number of spots struck in each frame, by how much at most, and their width.
    dead_columns
        Number of columns that read nothing.
    beam_decay
        Share of the ring current that is lost between first and last frame.
    ring_current_ma
        Current at the first frame.
    record_current
        False to leave the current out of the headers.
    poisson
        False for no counting noise.
    saturation_counts
        Largest count.
    wraps
        Counts above 65535 begin again at 0, instead of ending there.
    seed
        Seed of all noise, and of the jitter of the recorded motors.

    Raises
    ------
    ParameterError
        A negative noise, or a decay that is no share.
    """

    peak_counts: float = 600.0
    offset_counts: float = 100.0
    offset_gradient_counts: tuple[float, float] = (6.0, 10.0)
    readout_noise_counts: float = 3.0
    blur_pix: float = 0.0
    hot_pixels: int = 12
    hot_counts: float = 4000.0
    zingers: float = 0.5
    zinger_counts: float = 8000.0
    zinger_pix: int = 1
    dead_columns: int = 0
    beam_decay: float = 0.1
    ring_current_ma: float = 190.0
    record_current: bool = True
    poisson: bool = True
    saturation_counts: int = 65535
    wraps: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        not_negative = ("offset_counts", "readout_noise_counts", "blur_pix", "hot_pixels")
        bounds = dict.fromkeys((*not_negative, "zingers", "seed"), ">= 0")
        bounds |= {"peak_counts": "> 0", "ring_current_ma": "> 0", "zinger_pix": ">= 1"}
        bounds |= {"beam_decay": ">= 0, < 1", "saturation_counts": "> 0, <= 65535"}
        check_fields(self, **bounds)

    @checked(frame=">= 0", frames=">= 1")
    def current_ma(self, frame: int, frames: int) -> float:
        """Ring current at a frame, out of all that are taken: it decays exponentially."""
        elapsed = frame / max(frames - 1, 1)
        return float(self.ring_current_ma * (1 - self.beam_decay) ** elapsed)

    @checked(shape=">= 1")
    def static(self, shape: tuple[int, int]) -> FloatArray:
        """Counts, (rows, cols), of a frame without light: offset, its gradient, and hot pixels."""
        down, right = self.offset_gradient_counts
        rows = np.linspace(-0.5, 0.5, shape[0])[:, None]
        counts = self.offset_counts + down * rows + right * np.linspace(-0.5, 0.5, shape[1])
        rng = np.random.default_rng([self.seed, _HOT])
        pixels = rng.choice(counts.size, min(self.hot_pixels, counts.size), replace=False)
        counts.flat[pixels] += self.hot_counts * rng.uniform(0.1, 1.0, pixels.size)
        return counts

    @checked(light="(rows, cols)", static="(rows, cols)", frame=">= 0")
    def expose(
        self, light: NDArray[np.floating], static: FloatArray, frame: int
    ) -> NDArray[np.uint16]:
        """Record one frame of expected counts, (rows, cols); its number seeds the noise."""
        rng = np.random.default_rng([self.seed, _FRAME, frame])
        if self.blur_pix:
            light = gaussian_filter(light, self.blur_pix)
        if not self.poisson:
            return self._read_out(light, static, rng)
        counts = np.zeros(light.shape, np.float32)
        illuminated = light > 0
        counts[illuminated] = rng.poisson(light[illuminated])
        return self._read_out(counts, static, rng)

    @checked(shape=">= 1", count=">= 0")
    def darks(self, shape: tuple[int, int], count: int) -> Iterator[NDArray[np.uint16]]:
        """Record frames, (rows, cols), with the beam off."""
        static = self.static(shape)
        for frame in range(count):
            rng = np.random.default_rng([self.seed, _DARK, frame])
            yield self._read_out(np.zeros(shape), static, rng)

    def _read_out(
        self, counts: NDArray[np.floating], static: FloatArray, rng: np.random.Generator
    ) -> NDArray[np.uint16]:
        noise = rng.standard_normal(static.shape, dtype=np.float32)
        noise *= np.float32(self.readout_noise_counts)
        counts = counts + static
        counts += noise
        struck = rng.integers(0, counts.size, rng.poisson(self.zingers))
        height = self.zinger_counts * rng.uniform(0.1, 1.0, struck.size)
        for down in range(self.zinger_pix):
            for right in range(self.zinger_pix):
                counts.flat[(struck + down * counts.shape[1] + right) % counts.size] += height
        cols = counts.shape[1]  # those that read nothing are in the middle half of the image
        middle = (cols // 4, cols - cols // 4)
        counts[
            :, np.random.default_rng([self.seed, _DEAD]).integers(*middle, self.dead_columns)
        ] = 0
        np.clip(counts, 0, None if self.wraps else self.saturation_counts, out=counts)
        return np.rint(counts, out=counts).astype(np.int64).astype(np.uint16)
