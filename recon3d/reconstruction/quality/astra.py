"""The summed projections of a scan with their geometry, for another tomography program."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recon3d import __version__
from recon3d.files.hdf5 import create_own
from recon3d.projection.kernels import FloatArray
from recon3d.reconstruction.model.scan_model import ScanModel


def parallel_vectors(affine: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Describe a projection as ASTRA's `parallel3d_vec` geometry does: 12 numbers.

    Direction of the ray, centre of the detector, step to the next column and to the next row, in µm
    along the sample axes x, y, z. (van Aarle et al. 2016, Opt. Express 24, 25129). `affine`: map
    from sample to (row, column) of an image of some shape.
    """
    row, col = affine[:, :3]
    ray = np.cross(row, col)
    ray /= np.linalg.norm(ray)
    # Steps on a detector that stands across the ray: each changes one coordinate by one.
    steps = np.linalg.pinv(affine[:, :3])
    middle = (np.array(shape) - 1) / 2
    centre = steps @ (middle - affine[:, 3])
    return np.concatenate([ray, centre, steps[:, 1], steps[:, 0]])


def export_sums(model: ScanModel, path: str | Path) -> None:
    """Write the summed frames of every used projection and where they were seen from, to HDF5.

    The file has `sums` (projections, rows, cols), `omega`, `vectors` (projections, 12) as
    `parallel_vectors` gives them, drift included, and `affine` (projections, 2, 4). It appears when
    it is complete.
    """
    used = [int(k) for k in model.projections]
    shape = model.image_shape
    affine = np.stack([model.affine(k) for k in used])
    room_bytes = 4 * len(used) * shape[0] * shape[1]
    with create_own(path, room_bytes) as file:
        file.attrs["_written_by"] = f"recon3d {__version__}"
        chunks = (1, *shape)
        sums = file.create_dataset("sums", (len(used), *shape), "f4", chunks=chunks, shuffle=True)
        for place, number in enumerate(used):
            sums[place] = model.summed(number)
        file["omega"] = model.store.omega_deg[used]
        file["omega"].attrs["units"] = "degree"
        file["affine"] = affine
        file["vectors"] = np.stack([parallel_vectors(one, shape) for one in affine])
        file["vectors"].attrs["units"] = "um"
