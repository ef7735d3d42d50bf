"""Random damage: an answer or one of our errors, never another exception or a partial file.

`pytest tests/faults/test_fuzzing.py --hypothesis-profile thorough` tries thousands of cases.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from fault_scans import frame, frames, getdata
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon3d.cli.main import main
from recon3d.config.experiment import INI_KEYS, Experiment
from recon3d.config.goniometer import GONIOMETERS
from recon3d.errors import DataError, ParameterError, Recon3DError
from recon3d.files.grain import Grain
from recon3d.files.store import open_store
from recon3d.readers.edf.folder import MotorReader
from recon3d.readers.edf.image import HeadReader, read_whole
from recon3d.scan.scan import open_scan

HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
THOROUGH = settings.default.max_examples > 1000


def cases(usual: int):
    """So many examples in the usual run, all of the profile's in a thorough one."""
    number = settings.default.max_examples // (1 if usual > 50 else 10) if THOROUGH else usual
    return settings(max_examples=number, suppress_health_check=HEALTH)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", "0", "-1", "nan", "inf", "1e999", "[]", "None", "{}", "9" * 400, "()"]),
    st.floats().map(str),
    st.lists(st.floats() | st.integers(), max_size=7).map(str),
)
HEADER_KEYS = ("ByteOrder", "DataType", "Dim_1", "Dim_2", "Size", "motor_pos", "motor_mne", "epoch")


@st.composite
def damaged_headers(draw, content: bytes) -> bytes:
    """An EDF file with bytes or whole lines changed, or cut."""
    raw = bytearray(content)
    for at, value in draw(st.lists(st.tuples(st.integers(0, 3100), st.integers(0, 255)))):
        raw[at] = value
    head, _, image = bytes(raw).partition(b"}\n")
    lines = head.split(b"\n")
    for key, text in draw(st.dictionaries(st.sampled_from(HEADER_KEYS), TEXTS, max_size=3)).items():
        kept = [line for line in lines if not line.startswith(key.encode())]
        lines = [*kept[:-1], f"{key} = {text} ;".encode("utf-8", "replace"), kept[-1]]
    whole = b"\n".join(lines) + b"}\n" + image
    return whole[: draw(st.integers(0, len(whole)) | st.just(len(whole)))]


@cases(150)
@given(data=st.data())
def test_headers(pristine, place, data):
    path = place / "fuzzed.edf"
    path.write_bytes(data.draw(damaged_headers(frame(pristine / "edf").read_bytes())))
    try:
        head = HeadReader().read(path)
        read_whole(path, head)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert len(MotorReader(GONIOMETERS["id06"]).read(head.text)) == 8
    except DataError:
        pass


@cases(15)
@given(data=st.data(), skip=st.booleans())
def test_scans_with_a_damaged_file(pristine, place, data, skip, capsys):
    scan = place / "edf"
    shutil.rmtree(place / "out", ignore_errors=True)
    if not scan.exists():
        scan.mkdir()
        for path in frames(pristine / "edf"):
            (scan / path.name).symlink_to(path)
    target = frame(scan, data.draw(st.integers(0, 119)))
    content = data.draw(damaged_headers((pristine / "edf" / target.name).read_bytes()))
    target.unlink()
    try:
        target.write_bytes(content)
        status = main(getdata(scan, *(["--skip-damaged"] if skip else [])))
    finally:
        target.unlink()
        target.symlink_to(pristine / "edf" / target.name)
    check_outcome(status, capsys.readouterr().err, place / "out")


def check_outcome(status: int, message: str, out: Path) -> None:
    assert "unexpected" not in message
    assert "Traceback" not in message
    assert not list(out.glob("*.part*")) if out.is_dir() else True
    if status:
        assert status in (1, 2)
        assert not (out / "scan.h5").exists()
    else:
        open_store(out / "scan.h5")


KEYS = st.sampled_from([*INI_KEYS]) | st.text(max_size=12)


@cases(200)
@given(changes=st.dictionaries(KEYS, TEXTS, max_size=6), junk=st.text(max_size=40))
def test_ini_files(pristine, place, changes, junk):
    text = (pristine / "cleaned" / "experiment.ini").read_text("utf-8")
    path = place / "fuzzed.ini"
    lines = [f"{key} {value}" for key, value in changes.items()]
    path.write_bytes("\n".join([text, *lines, junk]).encode("utf-8", "surrogatepass"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = error_of(lambda: Experiment.from_ini(path), ParameterError)
    assert str(path) in told or not told


def error_of(run, kind: type[Exception]) -> str:
    """The message with which something ends; empty where it ends well."""
    try:
        run()
    except kind as error:
        return str(error)
    return ""


VALUES = st.one_of(
    st.floats().map(np.float64),
    st.integers(-9, 9),
    st.binary(min_size=1, max_size=9).map(np.bytes_),
    st.sampled_from([np.zeros(0), np.full(15, np.nan), np.zeros((15, 2)), np.full((8, 15), 1e300)]),
    st.sampled_from([h5py.Empty("f"), h5py.SoftLink("/nowhere"), h5py.ExternalLink("no.h5", "/x")]),
)


def parts_of(path: Path) -> list[str]:
    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visit(names.append)
    return names


def change_tree(source: Path, target: Path, data) -> None:
    """Copy an HDF5 file with some of its parts removed or replaced."""
    shutil.copy(source, target)
    names = st.lists(st.sampled_from(parts_of(source)), min_size=1, max_size=3, unique=True)
    with h5py.File(target, "r+") as file:
        for name in data.draw(names):
            if name in file:
                del file[name]
                if data.draw(st.booleans()):
                    file[name] = data.draw(VALUES)
        for name in list(file.attrs):
            if data.draw(st.integers(0, 9)) == 0:
                file.attrs[name] = data.draw(st.floats() | st.text(max_size=5).map(printable))


def printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


@cases(60)
@given(data=st.data(), skip=st.booleans())
def test_bliss_trees(pristine, place, data, skip):
    path = place / "fuzzed.h5"
    change_tree(pristine / "bliss" / "topotomo.h5", path, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scan = open_scan(path, skip_damaged=skip, show_progress=False)
            for k in range(scan.shape[0]):
                scan.read_projection(k)
        except Recon3DError:
            pass


@cases(60)
@given(data=st.data())
def test_store_and_grain_trees(pristine, place, data):
    out = pristine / "cleaned" / "out"
    path = place / "fuzzed_result.h5"
    change_tree(out / "scan.h5", path, data)
    try:
        store = open_store(path)
        for k in range(store.shape[0]):
            assert np.isfinite(store.read_projection(k)).all()
    except DataError:
        pass
    change_tree(out / "grain.h5", path, data)
    with contextlib.suppress(DataError):
        assert Grain.load(path).mask.ndim == 3


WORDS = st.one_of(
    TEXTS.filter(lambda text: "\0" not in text and "\udfff" not in text and "/" not in text),
    st.sampled_from(["-", "--", "-1", "1,2", "-5,16", "18,16", "36,32", "1e-400", "--quiet"]),
)
OPTIONS = ("--motors", "--entries", "--tilt-azimuth", "--min-region", "--normalize", "--hot-limit")


@cases(60)
@given(
    changes=st.dictionaries(st.integers(5, 14), WORDS, min_size=1, max_size=4),
    options=st.lists(st.tuples(st.sampled_from(OPTIONS), WORDS), max_size=2),
)
def test_command_lines(pristine, place, changes, options, capsys):
    words = getdata(pristine / "edf", outputpath=str(place), outputdirname="out")
    shutil.rmtree(place / "out", ignore_errors=True)
    for number, word in changes.items():
        if number not in (7, 8):  # where results go
            words[number] = word
    try:
        status = main([*words, *(word for option in options for word in option)])
    except SystemExit as stop:
        status = stop.code
        assert status == 2 or "--help" in words or "-h" in words
    if status != 2 and status is not None:
        check_outcome(status, capsys.readouterr().err, place / "out")
