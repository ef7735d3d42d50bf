"""What a first preview needs is compiled in advance, once, and never in anybody's way."""

import os
import time

import pytest

from recon3d.simulate import first_preview
from recon3d.simulate.first_preview import begin_compiling, is_compiling


@pytest.fixture
def marker(tmp_path, monkeypatch):
    path = tmp_path / "marker"
    monkeypatch.setattr(first_preview, "_marker", lambda: path)
    return path


class Process:
    """In place of the process: it holds the marker until it is killed."""

    def __init__(self, _, *, pass_fds, **__):
        self.held = os.dup(pass_fds[0])
        started.append(self)

    def wait(self):
        return 0


started = []


def test_it_is_compiled_once_and_never_twice_at_a_time(marker, monkeypatch):
    started.clear()
    monkeypatch.setattr(first_preview.subprocess, "Popen", Process)
    assert begin_compiling()
    assert is_compiling()
    assert not begin_compiling()
    os.close(started[0].held)  # killed: the next one tries again
    assert not is_compiling()
    assert begin_compiling()
    os.close(started[1].held)
    marker.write_text(first_preview._stamp())
    assert not begin_compiling()
    assert len(started) == 2


def test_a_process_of_low_priority_compiles(marker):
    assert begin_compiling()
    end = time.monotonic() + 500
    while is_compiling() and time.monotonic() < end:
        time.sleep(0.1)
    assert marker.read_text() == first_preview._stamp()
    assert not begin_compiling()


def test_what_fails_is_not_tried_again_and_again(marker, monkeypatch):
    def fail():
        raise MemoryError

    monkeypatch.setattr(first_preview, "_compile", fail)
    monkeypatch.setattr(first_preview, "_let_others_go_first", lambda: None)
    with pytest.raises(MemoryError):
        first_preview.main(os.open(marker, os.O_RDWR | os.O_CREAT))
    assert not begin_compiling()


def test_without_a_folder_for_compiled_code_nothing_is_started(monkeypatch):
    monkeypatch.setattr(first_preview, "_marker", lambda: None)
    assert not begin_compiling()
    assert not is_compiling()
