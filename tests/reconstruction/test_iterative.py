"""The fit on tiny problems whose answers are known."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.geometry import ProjectionGeometry
from recon3d.projection.kernels import UNKNOWN, compare
from recon3d.projection.operator import IlluminatedPixels, Projector
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.frames import suspects
from recon3d.reconstruction.fit.iterative import IterativeFit, deal
from recon3d.reconstruction.model.scan_model import IlluminatedFrames
from recon3d.reconstruction.task import smoother_share
from recon3d.runtime.communicator import ALONE

GEOMETRY = ProjectionGeometry(10.0, 1.0, 8.0, 8.0)
OMEGA = np.arange(0, 180, 15.0)
BINS = OrientationBins(np.array([-0.01, 0.01]), np.array([0.0]), np.zeros(1))
GRID = np.stack(np.meshgrid(*[np.arange(-2, 3.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


@dataclass
class TinyScan:
    """Frames computed from a volume with the operator itself, without noise."""

    volume: np.ndarray
    omitted: tuple[int, ...] = ()
    projections: np.ndarray = field(default_factory=lambda: np.arange(len(OMEGA)))
    suspected: frozenset[int] = frozenset()
    communicator = ALONE

    def affine(self, projection):
        return GEOMETRY.affine(OMEGA[projection])

    def weights(self, projection, bins):  # noqa: ARG002 (as of a scan)
        mixing = np.array([[1.0, 0.2], [0.1, 1.0]], np.float32)
        return mixing if projection % 2 else mixing[::-1].copy()

    def illuminated_frames(self, projection):
        frames = self.frames(projection)
        return IlluminatedFrames(np.arange(len(frames)), frames)

    def frames(self, projection):
        pixels = IlluminatedPixels.from_mask(np.ones((17, 17), bool))
        projector = Projector(GRID)
        images = projector.forward(self.volume, self.affine(projection), pixels)
        images = images @ self.weights(projection, BINS).T
        return np.ascontiguousarray(images[:-1].T.reshape(2, 17, 17), np.float32)

    def total_counts(self):
        return sum(float(self.frames(int(k)).sum()) for k in self.projections)


def planted_volume():
    volume = np.zeros((len(GRID), 2), np.float32)
    near = np.abs(GRID).max(axis=1) < 2
    volume[near & (GRID[:, 0] < 0), 0] = 100
    volume[near & (GRID[:, 0] >= 0), 1] = 100
    return volume


def test_recovers_a_volume_from_its_own_frames():
    truth = planted_volume()
    fit = IterativeFit(TinyScan(truth), BINS, GRID, (0, 0, 0), threshold=0, subset_size=2)
    for _ in range(60):
        fit.run_pass("fit")
    assert fit.residuals[-1] < 0.02
    assert np.abs(fit.volume - truth).max() < 25
    assert np.corrcoef(fit.volume.ravel(), truth.ravel())[0, 1] > 0.99


def test_sirt_recovers_it_too():
    truth = planted_volume()
    fit = IterativeFit(
        TinyScan(truth), BINS, GRID, (0, 0, 0), threshold=0, subset_size=2, rule="sirt"
    )
    for _ in range(60):
        fit.run_pass("fit")
    assert fit.residuals[-1] < 0.05
    assert np.corrcoef(fit.volume.ravel(), truth.ravel())[0, 1] > 0.98


def test_total_variation_smooths_noise_and_keeps_orientations():
    rng = np.random.default_rng(3)
    volume = Volume((0, 0, 0), (5, 5, 5), (5, 5, 5))
    noisy = (planted_volume() * rng.uniform(0.6, 1.4, (len(GRID), 1))).astype(np.float32) + 0.01
    smooth = noisy * smoother_share(noisy, np.arange(len(GRID)), volume, weight=0.2)[:, None]
    inner = np.abs(GRID).max(axis=1) < 2
    assert smooth.sum(axis=1)[inner].std() < 0.7 * noisy.sum(axis=1)[inner].std()
    share = noisy[:, 0] / noisy.sum(axis=1)
    assert smooth[:, 0] / smooth.sum(axis=1) == pytest.approx(share, rel=1e-4)


def test_the_total_is_kept_and_nothing_is_negative():
    truth = planted_volume()
    fit = IterativeFit(TinyScan(truth), BINS, GRID, (0, 0, 0), threshold=0)
    fit.run_pass("fit")
    fit.run_pass("fit")
    assert fit.volume.min() > 0
    assert fit.volume.sum() == pytest.approx(truth.sum(), rel=0.1)
    assert fit.residuals[1] < fit.residuals[0]


def test_a_projection_that_disagrees_has_the_largest_residual():
    @dataclass
    class Disturbed(TinyScan):
        def frames(self, projection):
            frames = super().frames(projection)
            return frames[::-1, ::-1].copy() if projection == 5 else frames

    scan = Disturbed(planted_volume())
    fit = IterativeFit(scan, BINS, GRID, (0, 0, 0), threshold=0)
    for _ in range(4):
        fit.run_pass("fit")
    assert np.argmax(fit.projection_residuals) == 5


def test_a_suspected_projection_is_compared_but_not_learnt_from():
    truth = planted_volume()
    others = np.delete(np.arange(len(OMEGA)), 1)
    fits = [
        IterativeFit(scan, BINS, GRID, (0, 0, 0), threshold=0, subset_size=len(OMEGA))
        for scan in (
            TinyScan(truth, suspected=frozenset({1})),
            TinyScan(truth, projections=others),
        )
    ]
    fits[1].volume[...] = fits[0].volume
    for fit in fits:
        fit.run_pass("fit")
    assert fits[0].volume == pytest.approx(fits[1].volume, rel=1e-4)
    assert np.isfinite(fits[0].projection_residuals[1])


def test_voxels_that_fall_outside_of_images_are_told_by_the_others():
    @dataclass
    class Cropped(TinyScan):
        def frames(self, projection):
            return np.ascontiguousarray(super().frames(projection)[:, :, :9])

    truth = planted_volume()
    fit = IterativeFit(Cropped(truth), BINS, GRID, (0, 0, 0), threshold=0, subset_size=2)
    for _ in range(60):
        fit.run_pass("fit")
    assert np.corrcoef(fit.volume.ravel(), truth.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("rule", ["mlem", "sirt"])
def test_a_step_is_as_long_where_half_of_a_subset_sees_nothing(rule):
    @dataclass
    class Blind(TinyScan):
        def weights(self, projection, bins):  # noqa: ARG002 (as of a scan)
            return np.array([[1.0, 0.2], [0.1, 1.0]], np.float32)

        def illuminated_frames(self, projection):
            every = super().illuminated_frames(projection)
            return every._replace(unknown=np.full((17, 17), projection >= 6))

    truth = planted_volume()
    half, whole = (
        IterativeFit(scan, BINS, GRID, (0, 0, 0), threshold=0, subset_size=12, rule=rule)
        for scan in (Blind(truth), Blind(truth, projections=np.arange(6)))
    )
    whole.volume[...] = half.volume
    for fit in (half, whole):
        fit.run_pass("fit")
    assert half.volume == pytest.approx(whole.volume, rel=1e-4)


def test_compare_against_numpy():
    rng = np.random.default_rng(0)
    pixels = IlluminatedPixels.from_mask(np.ones((5, 6), bool))
    measured = np.zeros((31, 4), np.float32)
    measured[:30] = np.where(rng.random((30, 4)) > 0.6, 50 * rng.random((30, 4)), 0)
    predicted = np.append(40 * rng.random((30, 4)), np.zeros((1, 4)), axis=0).astype(np.float32)
    image = measured[:30].reshape(5, 6, 4)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0))) > 0
    measured[3] = UNKNOWN
    near = np.any([padded[r : r + 5, c : c + 6] for r in range(3) for c in range(3)], axis=0)
    censored = (near & (image <= 0)).reshape(30, 4)
    target = np.where(censored, np.minimum(predicted[:30], 12), measured[:30])
    target[3] = predicted[3]
    expected = (target + 2) / (predicted[:30] + 2)
    differences = ((target - predicted[:30]) ** 2).sum(axis=1)
    of_pixels = np.zeros((5, 6, 2))
    totals = compare(predicted, measured, pixels.lookup, pixels.places, 12.0, 2.0, of_pixels)
    sums = of_pixels.reshape(30, 2)
    assert predicted[:30] == pytest.approx(expected, rel=1e-5)
    assert not predicted[30].any()
    assert sums[:, 0] == pytest.approx(differences, rel=1e-4)
    squares = (np.maximum(measured[:30], 0) ** 2).sum(axis=1)
    assert sums[:, 1] == pytest.approx(squares, rel=1e-4)
    assert totals == pytest.approx(sums.sum(axis=0))


@pytest.mark.parametrize(("count", "size"), [(36, 3), (7, 3), (2, 5), (1, 1)])
def test_every_projection_is_dealt_once(count, size):
    groups = deal(np.arange(10, 10 + count), size)
    assert sorted(np.concatenate(groups)) == list(range(10, 10 + count))


def test_many_projections_of_another_grain_are_suspected_although_they_pull_at_all():
    residuals = [0.87, 0.29, 0.74, 0.35, 0.35, 0.37, 0.53, 0.78, 0.35, 0.26, 0.28, 0.35, 0.29, 0.31]
    strange = np.flatnonzero(suspects(np.array(residuals)))
    assert list(strange) == [0, 2, 7]
    assert not suspects(np.linspace(0.45, 0.75, 12)).any()
