"""What is shown of engines at work."""

import numpy as np
import pytest

from recon3d.parallel.driver import EngineDisplay
from recon3d.runtime.progress import Stage


def news(done, passed=(), description="iteration 2"):
    stage = Stage(description, "projection", done, 36)
    return [
        {"rank": 0, "stage": stage, "load": 0.931, "passed": list(passed)},
        {"rank": 1, "stage": stage, "load": 0.402},
    ]


def test_stage_rate_time_left_residual_and_loads_are_shown(capsys):
    with EngineDisplay(show=True) as show:
        show(news(4, [("iteration", 1, 0.12345)]))
        show(news(18, [("iteration", 1, 0.12345)]))
    shown = capsys.readouterr().err.replace("\r", "\n")
    line = next(line for line in shown.splitlines() if " 18/36 " in line)
    assert line.startswith("iteration 2:  50%")
    assert "load=93% 40%" in line
    assert "residual=0.1235" in line or "residual=0.1234" in line
    assert "projection/s" in line
    assert "<" in line


def test_every_stage_has_a_bar_that_ends_full(capsys):
    with EngineDisplay(show=True) as show:
        show(news(30, description="alignment"))
        show(news(2))
    shown = capsys.readouterr().err
    assert "alignment: 100%" in shown
    assert "iteration 2: 100%" in shown


def test_a_bar_of_what_failed_is_not_filled(capsys):
    def interrupted():
        with EngineDisplay(show=True) as show:
            show(news(18))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "100%" not in capsys.readouterr().err


def test_nothing_is_shown_before_the_first_engine_tells_anything(capsys):
    with EngineDisplay(show=True) as show:
        show([{}, {"rank": 1, "load": 0.5}])
    assert capsys.readouterr().err == ""


def test_no_pass_is_left_out_though_many_come_at_once(tmp_path, capsys):
    told, preview = [], tmp_path / "preview.npy"
    np.save(preview, np.ones((2, 2, 2), np.float32))
    passes = [("iteration", number, 0.5 / number) for number in (1, 2, 3)]
    with EngineDisplay(False, lambda *words: told.append(words), preview) as show:
        show(news(1, [("alignment", 0, float("nan"))]))
        show(news(2, [("alignment", 0, float("nan")), *passes]))
        show(news(3, [("alignment", 0, float("nan")), *passes]))
    assert [(stage, number) for stage, number, *_ in told] == [
        ("alignment", 0),
        ("iteration", 1),
        ("iteration", 2),
        ("iteration", 3),
    ]
    assert told[0][3] is None
    assert all(one[3].shape == (2, 2, 2) for one in told[1:])
    assert not preview.exists()
    assert capsys.readouterr().err == ""
