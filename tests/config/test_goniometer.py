from __future__ import annotations

import pytest

from recon3d.config.goniometer import GONIOMETERS, choose_goniometer
from recon3d.errors import DataError, Recon3DWarning
from recon3d.scan.scan import open_scan

ID06, ID03 = {"diffry", "diffrz"}, {"omega", "mu"}


@pytest.mark.parametrize(
    ("known", "moving", "beamline"),
    [
        (ID06, set(), "id06"),
        (ID03 | {"diffry"}, set(), "id03"),
        (ID06 | ID03, {"mu", "chi"}, "id03"),
        (ID06 | ID03, {"diffry", "chi"}, "id06"),
        (ID06 | ID03, {"diffry", "omega", "mu"}, "id03"),
        ({"diffrz", "chi"}, {"diffrz"}, "id06"),
        ({"diffrz", "mu"}, {"mu"}, "id03"),
        (ID06 | {"mu"}, {"mu"}, "id06"),
    ],
)
def test_the_beamline_of_a_scan(known, moving, beamline):
    assert choose_goniometer(known, moving) is GONIOMETERS[beamline]


@pytest.mark.parametrize(
    ("known", "message"),
    [(ID06 | ID03, r"several.*id06: diffry, diffrz; id03: omega, mu"), ({"chi"}, "no known")],
)
def test_no_beamline_is_guessed(known, message):
    with pytest.raises(DataError, match=message):
        choose_goniometer(known, {"chi"})


def positions(omega, base_tilt):
    return [{omega: 10.0 * k, base_tilt: 0.1 * i} for k in range(2) for i in range(3)]


@pytest.mark.parametrize(("beamline", "names"), [("id06", ID06), ("id03", ID03)])
def test_edf_files_of_both_beamlines(write_folder, beamline, names, monkeypatch):
    monkeypatch.setattr("id06_folders.MOTORS", ("chi", "phi", "obpitch"))
    goniometer = GONIOMETERS[beamline]
    assert {goniometer.omega, goniometer.base_tilt} == names
    folder = write_folder(positions(goniometer.omega, goniometer.base_tilt))
    assert open_scan(folder, show_progress=False).omega_deg.tolist() == [0, 10]


def test_damaged_edf_files_do_not_hide_the_beamline(write_folder, monkeypatch):
    monkeypatch.setattr("id06_folders.MOTORS", ("chi", "phi", "obpitch"))
    folder = write_folder(positions("omega", "mu"))
    (folder / "topo_0000.edf").write_bytes(b"")
    with pytest.warns(Recon3DWarning) as caught:
        scan = open_scan(folder, skip_damaged=True, show_progress=False)
    assert "topo_0000.edf" in str(caught[0].message)
    assert scan.missing == [(0, 0)]
