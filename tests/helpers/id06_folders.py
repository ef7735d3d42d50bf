"""Small folders of EDF files as ID06 writes them, made with fabio."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import fabio
import numpy as np

MOTORS = ("trash", "mono", "diffry", "diffrz", "obpitch", "chi", "phi", "energy")


def header(positions: dict[str, float], *, current: str = "167.777", **keys: str) -> dict[str, str]:
    """An ID06 header in which the motors stand at `positions`, and the others at 0."""
    names = [*MOTORS, *(name for name in positions if name not in MOTORS)]
    return {
        "scan": "ascan  diffry -23.176 -23.146  30 5",
        "point_no": "0",
        "counter_pos": f"5 {current} 4.83755e-06 -nan",
        "counter_mne": "sec srcur pico1 foc1",
        "motor_pos": " ".join(f"{positions.get(name, 0):.8g}" for name in names),
        "motor_mne": " ".join(names),
        **keys,
    }


def write_edf(path: Path, image: np.ndarray, positions: dict[str, float], **keys: str) -> Path:
    """Write one frame."""
    fabio.edfimage.EdfImage(data=image, header=header(positions, **keys)).write(str(path))
    return path


def frame(number: int, shape: tuple[int, int] = (4, 6), dtype: str = "uint16") -> np.ndarray:
    """A frame that no other number has."""
    return (np.arange(shape[0] * shape[1]).reshape(shape) + 100 * number).astype(dtype)


def mosaicity(
    omega, mu, gamma, *, phi0: float = 0.0, chi0: float = 0.0, swapped: bool = False
) -> list[dict[str, float]]:
    """Motor positions of the ID06 macro, which turns γ into chi and phi at every ω."""
    positions = []
    for angle, rocking, rolling in product(omega, mu, gamma):
        sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        chi, phi = (cosine, -sine) if swapped else (sine, cosine)
        positions.append(
            {
                "diffry": angle,
                "diffrz": rocking,
                "chi": chi0 + rolling * chi / np.cos(np.radians(phi0)),
                "phi": phi0 + rolling * phi,
            }
        )
    return positions


def grid(**motors) -> list[dict[str, float]]:
    """Motor positions on a grid, the last motor the fastest."""
    return [dict(zip(motors, values, strict=True)) for values in product(*motors.values())]


def jittered(positions: list[dict[str, float]], sigma: float, seed: int = 0):
    """The same with normal noise on every motor."""
    random = np.random.default_rng(seed)
    return [
        {name: value + random.normal(0, sigma) for name, value in frame.items()}
        for frame in positions
    ]
