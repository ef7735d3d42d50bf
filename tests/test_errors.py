import pytest

from recon3d import errors
from recon3d.runtime.progress import track


def test_one_except_catches_every_error_of_ours():
    for error in (errors.ParameterError, errors.DataError, errors.GridError):
        assert issubclass(error, errors.Recon3DError)
    assert issubclass(errors.GridError, errors.DataError)


def test_errors_and_warnings_are_what_python_programs_expect():
    assert issubclass(errors.ParameterError, ValueError)
    assert issubclass(errors.Recon3DWarning, UserWarning)
    assert not issubclass(errors.DataError, ValueError)


def test_a_tracked_loop_passes_its_items_on(capsys):
    assert list(track(range(3), "reading", unit="frame")) == [0, 1, 2]
    assert "reading" in capsys.readouterr().err
    assert list(track(iter("ab"), "silent", total=2, show=False)) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_a_tracked_loop_is_lazy_and_lets_errors_through():
    def items():
        yield 1
        raise errors.DataError("the second is damaged")

    loop = track(items(), "reading", show=False)
    assert next(loop) == 1
    with pytest.raises(errors.DataError, match="damaged"):
        next(loop)


def test_what_lies_behind_a_fault_of_compiled_code_is_found():
    inner, outer = KeyboardInterrupt(), SystemError("returned a result with an exception set")
    middle = SystemError("the same")
    outer.__cause__, middle.__context__ = middle, inner
    assert errors.behind(outer) is inner
    assert errors.behind(inner) is inner
    middle.__context__ = outer
    assert errors.behind(outer) is outer


def test_no_message_is_longer_than_a_person_reads():
    names = ", ".join(f"frame_{number:05d}.edf" for number in range(2000))
    error = errors.DataError(f"damaged: {names}: take them anew")
    assert len(str(error)) <= 460
    assert str(error).startswith("damaged: frame_00000.edf, frame_00001.edf")
    assert str(error).endswith("frame_01999.edf: take them anew")
    with pytest.warns(errors.Recon3DWarning) as told:
        errors.warn(f"left out: {names}")
    assert len(str(told[0].message)) <= 460
    assert str(errors.DataError("short")) == "short"


def test_a_notebook_shows_an_error_of_ours_in_one_line(capsys):
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell()
    shell.run_cell("from recon3d.errors import DataError\nraise DataError('no frame a_*.edf')")
    assert capsys.readouterr().out.strip() == "DataError: no frame a_*.edf"
