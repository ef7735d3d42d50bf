"""The demonstration: a table of methods, and pictures."""

from matplotlib.image import imread

from recon3d.cli.main import main


def test_demo_prints_a_table_and_draws(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "--quiet"]) == 0
    table = capsys.readouterr().out
    assert "sample frame" in table
    assert "fixed laboratory angles" in table
    pictures = list((tmp_path / "demo" / "figures").glob("*.png"))
    assert len(pictures) >= 3
    for picture in pictures:
        assert imread(picture)[..., :3].std() > 0.05, picture
