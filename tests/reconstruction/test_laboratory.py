"""The original's algorithm, voxel by voxel, against the compiled one."""

import numpy as np

from recon3d.projection.operator import voxel_centres_um
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.run import reconstruct


def slow_laboratory(model, points_um):
    """Sum nearest pixels over ω at fixed settings; strongest setting; share of lit frames."""
    stack = [model.frames(k) for k in model.projections]
    rows, cols = stack[0].shape[1:]
    setting, share = [], []
    for point in points_um:
        seen = []
        for k, frames in zip(model.projections, stack, strict=True):
            row, col = model.affine(k) @ [*point, 1]
            row, col = int(np.floor(row + 0.5)), int(np.floor(col + 0.5))
            inside = 0 <= row < rows and 0 <= col < cols
            seen.append(frames[:, row, col] if inside else np.zeros(len(frames)))
        best = int(np.argmax(np.sum(seen, axis=0)))
        setting.append(best)
        share.append(np.mean([values[best] > 0 for values in seen]))
    return np.array(setting), np.array(share)


def test_agrees_with_the_slow_reference(planted):
    scan = planted("demo", handedness=-1)
    experiment = scan.experiment.with_settings(method="backprojection", frame="lab", handedness=-1)
    grain = reconstruct(scan.store, experiment, show_progress=False)
    chosen = np.flatnonzero(grain.mask)[::37]
    points = voxel_centres_um(grain.volume)[chosen]
    setting, share = slow_laboratory(build_model(scan.store, experiment, -1), points)
    mu, gamma = (axis.values_deg for axis in scan.store.axes)
    mu, gamma = (axis - (axis[0] + axis[-1]) / 2 for axis in (mu, gamma))
    orientation = grain.orientation.reshape(-1, 2)[chosen]
    assert np.allclose(orientation[:, 0], mu[setting // gamma.size], atol=1e-6)
    assert np.allclose(orientation[:, 1], gamma[setting % gamma.size], atol=1e-6)
    assert np.allclose(grain.completeness.ravel()[chosen], share, atol=1e-6)
