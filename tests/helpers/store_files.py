"""Small cleaned scans, written to scan.h5."""

import numpy as np

from recon3d.files.store import open_store
from recon3d.files.store_writer import StoreWriter
from recon3d.geometry import TiltOrigin
from recon3d.readers.source import MotorTable, Roi
from recon3d.scan.table import ScanTable, SettingAxis

SHAPE = (3, 8, 20, 30)


def make_frames(seed=0, shape=SHAPE):
    """Frames of which two thirds are dark."""
    rng = np.random.default_rng(seed)
    frames = rng.uniform(0, 100, shape).astype(np.float32)
    frames[rng.random(shape[:2]) < 0.66] = 0
    frames[:, 2] = rng.uniform(0, 9, shape[2:])
    return frames


def arguments(shape=SHAPE):
    rng = np.random.default_rng(1)
    motors = MotorTable(*rng.uniform(-1, 1, (7, *shape[:2])))
    motors.base_tilt_deg[0, 1] = np.nan
    return {
        "motors": motors,
        "slots": np.where(
            np.isnan(motors.base_tilt_deg), -1, np.arange(motors.omega_deg.size).reshape(shape[:2])
        ),
        "axes": (SettingAxis("mu", np.arange(4) * 0.1), SettingAxis("gamma", np.array([0.1, 0.2]))),
        "kind": "mosaicity",
        "omega_deg": np.arange(shape[0]) * 0.8,
        "origin": TiltOrigin(0.1, 0.2, 0.3, 90.0),
        "roi": Roi(5, 6, *shape[2:]),
    }


PROVENANCE = {"text": "[1]", "number": 3, "share": 0.5, "nested": {"a": [1, None]}}


def writer(path, shape=SHAPE, source_files=None, provenance=PROVENANCE, **changes):
    table = ScanTable(**(arguments(shape) | changes))
    return StoreWriter(path, table, provenance=provenance, source_files=source_files)


def write(path, frames, order=None, **changes):
    with writer(path, frames.shape, **changes) as store:
        for k in range(len(frames)) if order is None else order:
            store.write(k, frames[k])
    return open_store(path)
