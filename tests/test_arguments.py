"""Arguments of public functions: wrong ones are named, before anything is done."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

import recon3d as r3
from recon3d.arguments import check_fields, checked
from recon3d.errors import NoSuchProjectionError, OutputError, ParameterError

Pair = tuple[int, int]
Axis = Literal["x", "y"]
Report = Callable[[str], None]


class Scan:
    """Something that bears the name of a class of ours."""


class Listed:
    """Something like a client: what it has by numbers is of different lengths."""

    def __len__(self):
        return 2

    def __getitem__(self, number: int):
        return [0] * range(1, 3)[number]


@checked(share=">= 0, <= 1", wide="> 0, <= inf", image="(rows, cols)", mask="(rows, cols)")
def work(
    count: int = 1,
    share: float = 0.5,
    wide: float = 1.0,
    name: str | None = None,
    path: str | Path = "a",
    pair: Pair | None = None,
    axis: Axis = "x",
    report: Report | None = None,
    image: ArrayLike | None = None,
    mask: NDArray[np.bool_] | None = None,
    several: Sequence[float] = (),
    texts: Mapping[str, str] | None = None,
    scan: Scan | None = None,
    anything: Any = None,
    flag: bool = False,
) -> dict[str, Any]:
    """Give back what came."""
    return dict(locals())


GOOD = [
    ("count", np.int64(3), 3),
    ("share", np.float32(0.5), 0.5),
    ("wide", np.inf, np.inf),
    ("path", Path("b"), Path("b")),
    ("pair", [1, np.int16(2)], (1, 2)),
    ("pair", np.array([1, 2]), (1, 2)),
    ("axis", "y", "y"),
    ("report", print, print),
    ("several", (1, 2.5), [1, 2.5]),
    ("texts", {"a": "b"}, {"a": "b"}),
    ("anything", print, print),
    ("flag", np.bool_(True), True),
]

WRONG = [
    ("count", 1.5, "count is 1.5: expected a whole number"),
    ("count", True, "count is True: expected a whole number"),
    ("share", "0.5", "share is '0.5': expected a number >= 0, <= 1"),
    ("share", 2, "share is 2: expected a number >= 0, <= 1"),
    ("share", np.inf, "share is inf: expected a number >= 0, <= 1"),
    ("wide", np.nan, "wide is nan: expected a number > 0, <= inf"),
    ("name", b"a", "name is b'a': expected a text or None"),
    ("path", b"a", "path is b'a': expected a path"),
    ("path", "", "path is '': expected a path"),
    ("pair", 5, "pair is 5: expected 2 of: whole number or None"),
    ("pair", (1, 2, 3), r"pair is \(1, 2, 3\): expected 2 of: whole number"),
    ("pair", "12", "pair is '12': expected 2 of"),
    ("axis", "z", "axis is 'z': expected x or y"),
    ("report", 5, "report is 5: expected a function or None"),
    ("image", ["a"], r"image is \['a'\]: expected an array of numbers"),
    ("image", [[1, 2], [3]], "expected an array of numbers"),
    ("image", np.ones((2, 2), complex), "expected an array of numbers"),
    ("image", np.ones(2), r"image has the shape \(2,\): expected \(rows, cols\)"),
    ("mask", np.full((2, 2), 0.5), "mask is .*: expected an array of truth values"),
    ("several", 5, "several is 5: expected several of: number"),
    ("several", ["a"], r"several is \['a'\]"),
    ("texts", {"a": 5}, "expected a dictionary"),
    ("scan", "run1", "scan is 'run1': expected a scan, from recon3d.open_scan"),
    ("flag", "no", "flag is 'no': expected True or False"),
]


@pytest.mark.parametrize(("name", "value", "taken"), GOOD)
def test_what_fits_is_given_on(name, value, taken):
    assert work(**{name: value})[name] == taken


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_what_does_not_fit_is_named(name, value, message):
    with pytest.raises(ParameterError, match=message):
        work(**{name: value})


def test_arrays_come_as_arrays_of_one_shape():
    taken = work(image=[[1, 2]], mask=[[0, 1]])
    assert taken["mask"].dtype == bool
    assert taken["image"].tolist() == [[1, 2]]
    with pytest.raises(ParameterError, match=r"mask has the shape \(1, 1\): expected \(1, 2\)"):
        work(image=[[1, 2]], mask=[[True]])


def test_a_class_may_be_known_by_its_name_alone():
    assert isinstance(work(scan=Scan())["scan"], Scan)
    assert next(iter(inspect.signature(work).parameters)) == "count"


def test_an_object_with_items_is_given_on_as_it_is():
    listed = Listed()
    assert work(anything=listed)["anything"] is listed


@dataclass(frozen=True)
class Record:
    """A dataclass that checks itself."""

    number: float
    place: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        check_fields(self, number="> 0")


def test_a_dataclass_checks_its_fields():
    assert Record(1, [2, 3]).place == (2, 3)
    with pytest.raises(ParameterError, match="number is 0: expected a number > 0"):
        Record(0)
    with pytest.raises(ParameterError, match="place is 5: expected 2 of: number"):
        Record(1, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: r3.open_scan("a", skip_damaged="yes"), "skip_damaged is 'yes'"),
        (lambda: r3.suggest("run1"), "scan is 'run1': expected a scan"),
        (lambda: r3.Experiment.from_ini(5), "path is 5: expected the path of an .ini"),
        (lambda: r3.Cluster("2"), "n is '2': expected a whole number"),
        (lambda: r3.Goniometer(5, "mu"), "omega is 5: expected a text"),
        (lambda: r3.view(None), "grain is None"),
        (lambda: r3.plot.slices_figure("grain.h5"), "grain is 'grain.h5': expected a grain"),
        (lambda: r3.analysis.curvature(None), "grain is None: expected a grain"),
        (lambda: r3.simulate.Steps("a", 1), "half_range_deg is 'a'"),
        (lambda: r3.simulate.make_phantom(position_um=(1, 2)), "position_um is"),
        (lambda: r3.plot.orientation_colors([1], [1], 0), "range_deg is 0"),
        (lambda: r3.plot.orientation_colors([1, 2], [1, 2, 3], 1), "expected one shape of both"),
        (lambda: r3.suggest(scans=5), "an unexpected .*scans.; its arguments are scan, "),
        (lambda: r3.Volume((0, 0, 0), (1, 1, 1), (2, 2, 2)).axis_um(3), "axis is 3: expected a"),
        (lambda: r3.open_store("x" * 300), "path is 'xx.*: expected the path of a scan.h5"),
        (lambda: r3.widgets.Session.start("run1", growing="no"), "growing is 'no': expected True"),
        (lambda: r3.widgets.Session.start("run1", experiment=5), "experiment is 5: expected"),
        (lambda: r3.widgets.GrainSlices("grain.h5"), "grain is 'grain.h5': expected a grain"),
        (lambda: r3.widgets.Threshold(None), "scan is None: expected a scan"),
        (lambda: r3.widgets.show("figure"), "figure is 'figure': expected a figure of matplotlib"),
        (lambda: r3.widgets.show_table(np.ones(3)), "rows is .*: expected an array of records"),
        (lambda: r3.widgets.show_table(np.ones(1, "f8,f8"), 5), "columns is .*several of: text"),
        (lambda: r3.widgets.Engines(profil="a"), "Cluster has no argument 'profil': they are n, "),
    ],
)
def test_wrong_calls_of_the_library(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arguments") / "run1"
    plan = replace(
        r3.simulate.demo_plan(),
        omega_deg=(0.0, 60.0, 120.0),
        drift_pix=(),
        mu=r3.simulate.Steps(0.06, 3),
        gamma=r3.simulate.Steps(0.06, 3),
        rows=24,
        cols=24,
        magnification_pix_per_um=2.0,
    )
    phantom = r3.simulate.make_phantom("subgrains", size_um=6, seed=4)
    r3.simulate.simulate_scan(folder, phantom, plan, voxels=12, show_progress=False)
    return r3.open_scan(folder, "topotomo_", show_progress=False)


def test_projections_that_are_not_there(scan):
    for k in (3, -4, 1.0, "0", None, True, slice(0, 2)):
        with pytest.raises(NoSuchProjectionError, match="the scan has 3, from 0"):
            scan[k]
    for chosen in ([3], [], [0.5], [True, False]):
        with pytest.raises(ParameterError):
            scan.of_projections(chosen)
    assert scan.of_projections([True, False, True]).omega_deg[1] == pytest.approx(120, abs=0.01)
    with pytest.raises(ParameterError, match="slot is -1: expected a frame of the source"):
        scan.read_frame(-1)  # which marks a missing frame
    with pytest.raises(ParameterError, match=r"pixels has the shape \(2, 2\)"):
        scan.masking(np.ones((2, 2), bool))


def test_a_raw_frame_is_never_written_over(scan):
    raw = Path(scan.source.name(0))
    before = raw.read_bytes()
    with pytest.raises(OutputError, match="recon3d did not write it: choose another name"):
        r3.clean(scan, r3.Cleaning(framebg=2, binth=12), raw, show_progress=False)
    assert raw.read_bytes() == before


def test_a_store_that_is_kept_open_can_be_copied(scan, tmp_path):
    cleaning = r3.Cleaning(framebg=2, binth=12, min_region_pix=4)
    store = r3.clean(scan, cleaning, tmp_path / "scan.h5", show_progress=False)
    with store.kept_open() as lent:
        for copied in (copy.deepcopy(lent), pickle.loads(pickle.dumps(lent))):
            assert (copied.read_projection(1) == store.read_projection(1)).all()
    for read in (store.read_summed, store.read_projection, store.read_illuminated):
        with pytest.raises(NoSuchProjectionError):
            read(3)


def test_settings_that_do_not_exist_are_told_with_the_nearest(write_ini):
    experiment = r3.Experiment.from_ini(write_ini())
    with pytest.raises(ParameterError, match=r"no setting 'iteration' .did you mean 'iterations'"):
        experiment.with_settings(iteration=5)


def test_a_matrix_may_be_three_rows():
    cell = (4.05, 4.05, 4.05, 90, 90, 90)
    crystal = r3.Crystal(
        cell, (2, 0, 0), 0.73, orientation_matrix=[[0, 1, 0], [1, 0, 0], [0, 0, -1]]
    )
    assert crystal.orientation_matrix == (0, 1, 0, 1, 0, 0, 0, 0, -1)


def test_parts_of_a_grain_are_checked(grain):
    with pytest.raises(ParameterError, match="doubts is 'none'"):
        replace(grain, doubts="none")
    with pytest.raises(ParameterError, match=r"mask is .*: expected an array of truth values"):
        replace(grain, mask=grain.mask.astype(float))


def test_a_wrong_argument_is_told_before_a_missing_one():
    with pytest.raises(ParameterError, match=r"scan is Cleaning\(\): expected a scan"):
        r3.clean(r3.Cleaning(), "scan")
    with pytest.raises(ParameterError, match="missing a required argument: 'scan'"):
        r3.clean()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: r3.Cleaning(bint=3), "unexpected keyword argument 'bint'; its fields are framebg"),
        (lambda: r3.Goniometer("diffry"), "missing a required argument: 'base_tilt'"),
        (lambda: r3.Experiment(1, 2, 3, 4, 5, 6), "too many positional arguments"),
    ],
)
def test_fields_of_settings_are_named_right(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_settings_can_be_copied_and_pickled():
    cleaning = r3.Cleaning(framebg=3)
    assert pickle.loads(pickle.dumps(cleaning)) == copy.deepcopy(cleaning) == cleaning
