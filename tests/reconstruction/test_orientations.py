"""Orientations, shifts and the turning centre, moved off the truth, find back to it."""

from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.geometry import ProjectionGeometry
from recon3d.projection.operator import IlluminatedPixels, Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import (
    Acceptance,
    FrameSettings,
    Turning,
    scaled_settings,
)
from recon3d.readers.source import Binning
from recon3d.reconstruction.fit.frames import settings_in_place
from recon3d.reconstruction.fit.orientations import (
    Place,
    Refinement,
    Unknowns,
    refine_by_parts,
    refine_orientations,
)
from recon3d.reconstruction.fit.passes import with_clear_drift
from recon3d.reconstruction.model.scan_model import IlluminatedFrames, ScanModel
from recon3d.runtime.communicator import ALONE, Communicator

VOLUME = Volume((0, 0, 0), (8, 8, 8), (8, 8, 8))
GEOMETRY = ProjectionGeometry(10.4, 1.0, 8.0, 8.0)
OMEGA = np.arange(0, 360, 20.0)
POINTS = voxel_centres_um(VOLUME)
INSIDE = np.flatnonzero(np.linalg.norm(POINTS, axis=1) < 3.5)
PLACE = Place(INSIDE, VOLUME.shape)
WIDTHS = Acceptance(0.016, 0.03)
MU = np.arange(-5, 6) * 0.03


@dataclass(frozen=True)
class TinyModel:
    """As much of a scan's model as a refinement asks for; its frames are predicted exactly."""

    truth: OrientedVoxels
    true_turning: Turning
    turning: Turning
    settings: FrameSettings
    acceptance: Acceptance
    projections: np.ndarray = field(default_factory=lambda: np.arange(len(OMEGA)))
    store: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            provenance={"cleaning": {"binth": 0}}, binning=Binning(), omega_deg=OMEGA
        )
    )
    communicator: Communicator = ALONE
    true_settings: FrameSettings | None = None
    centre_drift_deg: tuple[float, float] = (0.0, 0.0)
    suspected: frozenset[int] = frozenset()
    course, drifted = ScanModel.course, ScanModel.drifted

    @property
    def own(self):
        return self.projections

    def omega_deg(self, projection):
        return float(OMEGA[projection])

    def affine(self, projection):
        return GEOMETRY.affine(OMEGA[projection])

    def scaled_settings(self, projection, orientations, turning=None):
        turning = turning or self.turning
        turned = turning.settings_of(orientations, OMEGA[projection])
        return scaled_settings(self.settings.of(projection), turned, self.acceptance)

    def illuminated_frames(self, projection):
        frames = self.frames(projection)
        return IlluminatedFrames(np.arange(len(frames)), frames)

    def frames(self, projection):
        pixels = IlluminatedPixels.from_mask(np.ones((17, 17), bool))
        as_measured = replace(self, settings=self.true_settings or self.settings)
        orientations, turning = self.truth.orientations, self.true_turning
        known = as_measured.scaled_settings(projection, orientations, turning)
        images = self.truth.frames(known, self.affine(projection), pixels)
        return np.ascontiguousarray(images[:-1].T.reshape(-1, 17, 17))


def smooth_field(seed, scale):
    """A field that varies slowly over the grain, and has no mean."""
    directions = np.random.default_rng(seed).normal(size=3)
    waves = np.sin(POINTS[INSIDE] @ directions / 3)
    return scale * (waves - waves.mean())


def settings(rolling):
    mu, gamma = np.meshgrid(MU, rolling, indexing="ij")
    rows = [np.tile(part.ravel(), (len(OMEGA), 1)) for part in (mu, gamma)]
    return FrameSettings(*rows, np.zeros_like(rows[0]))


def mosaicity():
    return settings(np.arange(-3, 4) * 0.03)


def grain(a, b, shift):
    intensity = np.random.default_rng(9).uniform(80, 120, len(INSIDE))
    projector = Projector(POINTS[INSIDE])
    return OrientedVoxels(projector, np.stack([a, b, shift]), intensity)


def refined_from(model, voxels, unknowns):
    found = refine_orientations(Refinement(model, voxels, unknowns, PLACE))
    return found.model, found.voxels


def median_mdeg(found, true):
    return 1e3 * float(np.median(np.abs(np.asarray(found) - true)))


@pytest.mark.parametrize("refine", [refine_orientations, partial(refine_by_parts, parts=3)])
def test_orientations_and_turning_centre_of_a_mosaicity_scan(refine):
    a, b, none = smooth_field(1, 0.03), smooth_field(2, 0.03), np.zeros(len(INSIDE))
    off_a, off_b = a + smooth_field(3, 0.01), b + smooth_field(4, 0.01)
    turning = Turning(1, 0.004, -0.003)
    model = TinyModel(grain(a, b, none), turning, Turning(1), mosaicity(), WIDTHS)
    unknowns = Unknowns(shift=False, centre_mu=True, centre_gamma=True)
    start = grain(off_a, off_b, none)
    refined = refine(Refinement(model, start, unknowns, PLACE))
    found_model, found = refined.model, refined.voxels
    assert np.array_equal(found_model.projections, model.projections)
    assert found_model.turning.centre_mu_deg == pytest.approx(0.004, abs=2e-4)
    assert found_model.turning.centre_gamma_deg == pytest.approx(-0.003, abs=2e-4)
    assert median_mdeg(found.orientations[0], a) < 0.25 * median_mdeg(off_a, a)
    assert median_mdeg(found.orientations[1], b) < 0.25 * median_mdeg(off_b, b)


def test_a_turning_centre_that_drifts():
    a, b, none = smooth_field(1, 0.03), smooth_field(2, 0.03), np.zeros(len(INSIDE))
    settings = mosaicity()
    still = TinyModel(grain(a, b, none), Turning(1), Turning(1), settings, WIDTHS)
    drifting = still.drifted((0.02, -0.01)).settings
    model = replace(still, true_settings=drifting)
    unknowns = Unknowns(shift=False, centre_mu=True, centre_gamma=True, drift=True)
    found_model, found = refined_from(model, grain(a, b, none), unknowns)
    assert found_model.centre_drift_deg == pytest.approx((0.02, -0.01), abs=5e-4)
    assert found_model.settings.mu_deg == pytest.approx(drifting.mu_deg, abs=5e-4)
    assert median_mdeg(found.orientations[0], a) < 1


@pytest.mark.parametrize(("drift_deg", "kept_deg"), [(0.02, 0.02), (0.004, 0.0), (0.0, 0.0)])
def test_only_a_clear_drift_is_kept_where_gamma_was_not_scanned(drift_deg, kept_deg):
    """From μ alone: a fifth of a step, 6 mdeg, is the least that is believed."""
    a, b, none = smooth_field(1, 0.02), smooth_field(2, 0.02), np.zeros(len(INSIDE))
    rocking, wide = settings(np.zeros(1)), Acceptance(0.016, np.inf)
    still = TinyModel(grain(a, b, none), Turning(1), Turning(1), rocking, wide)
    store = SimpleNamespace(
        **vars(still.store), kind="rocking", axes=[SimpleNamespace(name="mu", values_deg=MU)]
    )
    model = replace(still, store=store, true_settings=still.drifted((drift_deg, 0)).settings)
    unknowns = Unknowns(shift=False, centre_mu=True, centre_gamma=False)
    start = grain(a + 0.003, b, none)
    kept = with_clear_drift(Refinement(model, start, unknowns, PLACE))
    found, voxels = kept.model, kept.voxels
    assert found.centre_drift_deg == pytest.approx((kept_deg, 0), abs=1e-3)
    assert (voxels is start) == (kept_deg == 0)


def test_shifts_of_a_rocking_scan_come_from_what_does_not_turn():
    a, b, shift = smooth_field(1, 0.02), smooth_field(2, 0.02), smooth_field(4, 0.008)
    wide = Acceptance(0.016, np.inf)
    rocking = settings(np.zeros(1))
    model = TinyModel(grain(a, b, shift), Turning(1, 0.002), Turning(1), rocking, wide)
    unknowns = Unknowns(shift=True, centre_mu=True, centre_gamma=False, smoothing=1.0)
    start = grain(a, b, np.zeros_like(a))
    found_model, found = refined_from(model, start, unknowns)
    assert np.corrcoef(found.orientations[2], shift)[0, 1] > 0.95
    assert median_mdeg(found.orientations[2], shift) < 0.3 * median_mdeg(0, shift)
    assert found_model.turning.centre_mu_deg == pytest.approx(0.002, abs=5e-4)


def test_the_truth_stays_where_it_is():
    a, b, none = smooth_field(1, 0.03), smooth_field(2, 0.03), np.zeros(len(INSIDE))
    truth = grain(a, b, none)
    model = TinyModel(truth, Turning(1), Turning(1), mosaicity(), WIDTHS)
    unknowns = Unknowns(shift=False, centre_mu=False, centre_gamma=False)
    found_model, found = refined_from(model, truth, unknowns)
    assert found_model.turning == model.turning
    assert found.orientations[0] == pytest.approx(a, abs=1e-4)


@dataclass(frozen=True)
class SlopedModel(TinyModel):
    """The same, seen by an instrument whose acceptance in γ moves over the image."""

    geometry = GEOMETRY
    true_slope = (0.001, -0.003)

    def frames(self, projection):
        pixels = IlluminatedPixels.from_mask(np.ones((17, 17), bool))
        sloped = replace(self.acceptance, slope_deg_per_pix=self.true_slope)
        seen = replace(self, turning=self.true_turning, acceptance=sloped)
        settings = settings_in_place(seen, self.truth, projection)
        images = self.truth.frames(settings, self.affine(projection), pixels)
        return np.ascontiguousarray(images[:-1].T.reshape(-1, 17, 17))


def test_a_slope_of_the_acceptance_is_found_with_the_orientations():
    a, b, none = smooth_field(1, 0.02), smooth_field(2, 0.02), np.zeros(len(INSIDE))
    turning = Turning(1, 0.004, -0.003)
    model = SlopedModel(grain(a, b, none), turning, Turning(1), mosaicity(), WIDTHS)
    unknowns = Unknowns(shift=False, centre_mu=True, centre_gamma=True, slope=True)
    found, voxels = refined_from(model, grain(a + 0.004, b, none), unknowns)
    assert found.acceptance.slope_deg_per_pix == pytest.approx((0.001, -0.003), abs=3e-4)
    assert median_mdeg(voxels.orientations[0], a) < 1
    assert median_mdeg(voxels.orientations[1], b) < 1
