"""Doubts: named where something is wrong, and none where all is well."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recon3d.errors import Recon3DWarning
from recon3d.reconstruction.model.scan_model import UnknownPixels
from recon3d.reconstruction.quality import doubts
from recon3d.reconstruction.quality.agreement import Evidence
from recon3d.reconstruction.quality.doubts import Case, doubts_of
from recon3d.reconstruction.run import reconstruct

STEP = 0.032
OMEGA = np.arange(0.0, 180.0, 10.0)


def case(
    monkeypatch,
    *,
    omega=OMEGA,
    binth=12.0,
    evidence=None,
    record=None,
    aside=(),
    unknown=None,
    drift=0.0,
    **found,
):
    """A scan in which all is well, but for what is given."""
    count = len(omega)
    monkeypatch.setattr(doubts, "setting_steps_deg", lambda _: (STEP, STEP))
    monkeypatch.setattr(doubts, "threshold_of", lambda _: binth)
    monkeypatch.setattr(doubts, "tells_handedness", lambda store: store.kind == "mosaicity")
    frames = np.tile(np.array([0.1, 1.0, 0.1]), (count, 1))
    axis = SimpleNamespace(name="mu", values_deg=STEP * np.arange(3.0))
    store = SimpleNamespace(
        kind="mosaicity",
        omega_deg=omega,
        provenance={},
        axes=(axis,),
        shape=(count, 3, 64, 64),
        integrated=frames,
        binning=SimpleNamespace(pixels=1),
    )
    model = SimpleNamespace(
        pixel_um=(1.0, 1.0),
        store=store,
        projections=np.arange(count),
        turning=SimpleNamespace(handedness=1),
        suspected=frozenset(aside),
        unknown=unknown,
        centre_drift_deg=(0.0, 0.0),
        drift_pix=np.zeros((count, 2)) + drift,
        pixels=SimpleNamespace(size=2),
        image_shape=(64, 64),
        omega_deg=lambda k: float(omega[k]),
    )
    settings = SimpleNamespace(frame="sample")
    inner = np.zeros((4, 4, 4))
    inner[1:3, 1:3, 1:3] = 1
    task = SimpleNamespace(
        volume=SimpleNamespace(voxel_um=(4.0, 4.0, 4.0)),
        model=model,
        experiment=SimpleNamespace(settings=settings),
        fill=lambda mask: mask.reshape(4, 4, 4),
    )
    usual = {
        "in_mask": inner.ravel() > 0,
        "second_share": np.zeros(64),
        "residual": np.array([0.15]),
        "voxels": None,
    }
    nothing = np.zeros(count)
    seen = Evidence(
        projections=np.arange(count),
        shift_deg=1e-4 * np.random.default_rng(0).normal(size=(count, 2)),
        curvature=nothing,
        missing=nothing,
        outliers=nothing,
        residuals=nothing + 0.15,
        signal=nothing + 200,
        columns=np.ones((2, 64)),
        counting=0.07,
        residual=0.15,
    )
    told = {"handedness_from": "sharpness", "effective_bins_plus": 5.0, "effective_bins_minus": 9.0}
    return Case(
        SimpleNamespace(task=task, **(usual | found)),
        told | (record or {}),
        replace(seen, **(evidence or {})),
    )


def test_where_all_is_well_there_is_no_doubt(monkeypatch):
    assert doubts_of(case(monkeypatch)) == ()
    assert doubts_of(case(monkeypatch, aside=(3,))) == ()


DRIFT = np.stack([np.linspace(0, 0.03, 18), np.zeros(18)], axis=1)
HALF_DARK = np.where(np.arange(18) < 6, 0.08, 0.0)
PASSING = np.where(np.arange(18) == 4, 0.6, 0.07)
CUT = UnknownPixels(
    np.zeros((64, 64), bool),
    np.array([[(0, 0), (64, 40 if k < 6 else 64)] for k in range(18)]),
)
JUMP = np.outer(np.arange(18) > 6, (1.5, 2.0))
SCATTER = np.random.default_rng(2).normal(size=(18, 2))
DEAD = np.stack([np.where(np.arange(64) == 30, 0.0, 1.0), np.ones(64)])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"record": {"effective_bins_minus": 4.0}}, "the scan says -1"),
        ({"drift": JUMP}, "jumped by 5.0 pixels between ω = 60.00 and 70.00°"),
        ({"drift": JUMP + 0.1 * SCATTER}, "jumped by .* between ω = 60.00 and 70.00°"),
        ({"binth": 150.0}, "binth 150 is 75% of a bright pixel.*clean with binth 50"),
        ({"omega": OMEGA / 2}, "only 90° of ω"),
        ({"evidence": {"shift_deg": DRIFT}}, "drifts over the scan .μ_c by 30 mdeg"),
        ({"evidence": {"missing": HALF_DARK}}, "dark in 6 projections .ω from 0 to 50°; up to 8%"),
        ({"evidence": {"outliers": np.full(18, 0.9)}}, "90% .*zingers"),
        ({"evidence": {"columns": DEAD}}, "columns 30 of the images .*dead columns"),
        ({"evidence": {"curvature": np.full(18, -0.1)}}, "extinction"),
        ({"binth": 25.0, "evidence": {"curvature": np.full(18, -0.2)}}, "extinction"),
        ({"evidence": {"residual": 0.6}}, "explains the frames poorly: residual 0.60.*M, rotation"),
        ({"second_share": np.full(64, 0.3)}, "100% of the voxels hold a second orientation"),
        ({"second_share": np.full(64, 0.1)}, "100% of the voxels hold a second orientation"),
        ({"aside": (3, 4)}, "2 of 18 projections were set aside.*ω = 30.00, 40.00°"),
        ({"unknown": CUT}, "cuts the grain in 6 of 18 projections .ω from 0 to 50°"),
        ({"in_mask": np.ones(64, bool)}, "border of the volume along x, y, z"),
        ({"evidence": {"residuals": PASSING, "missing": PASSING / 10}}, "at ω = 40.00°"),
    ],
)
def test_each_fault_is_named_alone(monkeypatch, given, words):
    told = doubts_of(case(monkeypatch, **given))
    assert len(told) == 1, told
    assert re.search(words, told[0]), told[0]
    assert len(told[0]) < 500


@pytest.mark.parametrize(
    "drift",
    [
        0.2 * JUMP,
        3 * SCATTER,
        np.outer(np.linspace(0, 9, 18), (1, 1)),
        np.outer(np.arange(18) == 6, (4.0, 0.0)),
    ],
    ids=["small", "scatter", "steady", "one projection"],
)
def test_a_drift_that_is_no_jump_is_not_told(monkeypatch, drift):
    assert doubts_of(case(monkeypatch, drift=drift)) == ()


def test_a_steady_drift_is_no_jump_where_projections_are_left_out(monkeypatch):
    creeping = case(monkeypatch, drift=np.outer(np.arange(18), (0.15, 0.0)))
    model = creeping.found.task.model
    model.projections = np.delete(np.arange(18), slice(5, 12))
    assert doubts._jump(creeping) is None
    model.drift_pix[12:] += 5
    assert "between ω = 40.00 and 120.00°" in doubts._jump(creeping)


def test_no_drift_of_projections_set_aside_is_no_jump(monkeypatch):
    drift = np.outer(~np.isin(np.arange(18), (8, 9)), (3.0, 0.0))
    (told,) = doubts_of(case(monkeypatch, drift=drift, aside=(8, 9)))
    assert "set aside" in told


def test_what_is_made_dark_is_not_taken_for_extinction(monkeypatch):
    assert not doubts_of(case(monkeypatch, binth=25.0, evidence={"curvature": np.full(18, -0.1)}))


def test_boundaries_of_subgrains_are_no_second_orientation_of_all_voxels(monkeypatch):
    boundaries = np.where(np.arange(64) % 4 == 1, 0.1, 0.0)
    assert doubts_of(case(monkeypatch, second_share=boundaries)) == ()


def test_a_drift_found_from_mu_alone_is_told(monkeypatch):
    drifting = case(monkeypatch)
    model = drifting.found.task.model
    model.centre_drift_deg = (0.018, 0.0)
    monkeypatch.setattr(doubts, "gamma_scanned", lambda _: True)
    assert doubts_of(drifting) == ()
    monkeypatch.setattr(doubts, "gamma_scanned", lambda _: False)
    assert any("drifts by 18 mdeg over the scan, as far as" in told for told in doubts_of(drifting))


def test_a_strong_bend_that_mu_alone_sees_is_told(monkeypatch):
    bent = case(monkeypatch, voxels="a grain")
    monkeypatch.setattr(doubts, "slope_steps", lambda *_: 0.0)
    for bend, scanned, words in (
        (2.3, False, "by 2.3 rocking widths"),
        (2.3, True, ""),
        (1.7, False, ""),
    ):
        monkeypatch.setattr(doubts, "bend_in_widths", lambda *_, bend=bend: bend)
        monkeypatch.setattr(doubts, "gamma_scanned", lambda _, scanned=scanned: scanned)
        assert words in "".join(doubts_of(bent))
        assert bool(words) == bool(doubts_of(bent))


def test_a_grain_past_the_scanned_range_is_told(monkeypatch):
    past = case(monkeypatch)
    past.found.task.model.store.integrated[:, 2] = 0.6
    (told,) = doubts_of(past)
    assert "mu ends at 60%" in told


def test_a_whole_reconstruction_warns_of_its_doubts_and_keeps_them(planted):
    """A grain of 24 counts, cleaned as one of several hundred."""
    scan = planted("demo", faults=("weak:24",))
    given = scan.experiment.with_settings(iterations=2, split_half=False)
    with pytest.warns(Recon3DWarning, match="binth 12 is"):
        grain = reconstruct(scan.store, given, show_progress=False)
    assert any("clean with binth" in doubt for doubt in grain.doubts)
