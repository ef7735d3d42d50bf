"""The mask where cleaning takes a large part of the light."""

from types import SimpleNamespace

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.reconstruction.build import prepare
from recon3d.reconstruction.model.scanned import bright_counts
from recon3d.reconstruction.task import CUT, LEAST_CUT, cut_occupancy, task_of


def test_a_bright_pixel_is_the_median_of_what_5_percent_of_the_lit_ones_exceed():
    """Projections of 100 lit pixels, of 1 to 100 counts, twice as many, and none at all."""
    frames = np.zeros((3, 1, 20, 10), np.float32)
    frames[0].flat[:100] = np.arange(1, 101)
    frames[1] = 2 * frames[0]
    model = SimpleNamespace(
        projections=np.arange(3),
        illuminated_frames=lambda number: SimpleNamespace(frames=frames[number]),
    )
    model.thinned = lambda _: model
    assert bright_counts(model) == pytest.approx(np.median([95.05, 190.1]))
    frames[:] = 0
    assert bright_counts(model) == np.inf


@pytest.mark.parametrize(("cut", "voxels"), [(0.5, 15**3), (0.3, 17**3)])
def test_a_dimmed_rim_belongs_to_the_grain_where_the_cut_is_lower(cut, voxels):
    """A cube of 15³ bright voxels with a rim of one voxel that holds 0.4 of them."""
    volume = Volume((0.0, 0.0, 0.0), (25.0,) * 3, (25,) * 3)
    occupancy = np.zeros((25, 25, 25))
    occupancy[4:21, 4:21, 4:21] = 0.4
    occupancy[5:20, 5:20, 5:20] = 1.0
    task = SimpleNamespace(volume=volume, inside=np.arange(25**3), cut=cut)
    _, in_mask = cut_occupancy(task, occupancy.ravel())
    assert abs(int(in_mask.sum()) - voxels) < 0.1 * voxels


@pytest.mark.parametrize(("counts", "least", "most"), [(24, LEAST_CUT, 0.32), (600, 0.43, CUT)])
def test_the_cut_is_lower_for_a_weak_grain(planted, counts, least, most):
    """Cleaned with binth 12: of 24 counts at the peak that is a large part, of 600 hardly any."""
    scan = planted("demo", faults=(f"weak:{counts}",))
    model, _ = prepare(scan.store, scan.experiment)
    assert least <= task_of(scan.experiment, model).cut <= most
