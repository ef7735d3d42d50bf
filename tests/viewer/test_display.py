"""Without a display the viewer says so, where Qt would end the process."""

import os
import subprocess
import sys

import pytest

from recon3d.errors import ParameterError
from recon3d.viewer import launch

PROGRAM = """
import sys
import recon3d as r3
try:
    r3.view(sys.argv[1], block=False)
except r3.ParameterError as error:
    print("refused:", error)
print("still here")
"""


def without(**changes: str) -> dict[str, str]:
    """The environment, with another display or none."""
    gone = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return {name: value for name, value in os.environ.items() if name not in gone} | changes


@pytest.fixture
def saved(grain, tmp_path):
    pytest.importorskip("napari")
    pytest.importorskip("PyQt6")
    grain.save(tmp_path / "grain.h5")
    return tmp_path / "grain.h5"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({}, "there is no display"), ({"DISPLAY": ":987"}, "could not connect to display :987")],
)
def test_no_display_is_one_line(saved, changes, reason):
    environment = without(**changes)
    words = [sys.executable, "-m", "recon3d", "view", str(saved)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("recon3d view: error: no window can be opened: ")
    assert reason in line


def test_a_notebook_lives_on(saved):
    words = [sys.executable, "-c", PROGRAM, str(saved)]
    done = subprocess.run(words, env=without(), capture_output=True, text=True, check=False)
    assert done.stdout.startswith("refused: no window can be opened: there is no display")
    assert done.stdout.endswith("still here\n")


def test_a_display_that_never_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(launch, "TRIAL", "import time; time.sleep(60)")
    monkeypatch.setattr(launch, "DISPLAY_S", 0.5)
    monkeypatch.setenv("DISPLAY", "far:0")
    with pytest.raises(ParameterError, match="the display far:0 does not answer"):
        launch.require_display()


@pytest.mark.usefixtures("display")
def test_a_display_that_answers_is_taken():
    launch.require_display()
