"""An illumination whose edge cuts the grain at every ω."""

from recon3d.reconstruction import build


def test_the_axis_settles_where_every_projection_is_cut(planted, monkeypatch):
    whole = {"rows": 96, "cols": 96, "magnification_pix_per_um": 6.0}
    scan = planted("demo", faults=("edge:1",), **whole)
    truth = scan.truth.rotation_center_pix
    model = build.prepare(scan.store, scan.experiment)[0]
    # What is cut off changes with ω, as a drift does.
    assert model.centre_drift_deg == (0.0, 0.0)
    settled = abs(model.rotation_center - truth)
    monkeypatch.setattr(build, "MOST_ALIGNMENTS", 1)
    once = abs(build.prepare(scan.store, scan.experiment)[0].rotation_center - truth)
    assert settled < 0.7
    assert settled < once
