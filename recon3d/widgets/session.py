"""One scan through all notebooks; what was chosen is kept in a settings file."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import ipywidgets as controls

from recon3d.arguments import checked
from recon3d.cleaning.getdata import calibration_images, getdata, open_data, opening, region_of
from recon3d.cleaning.overview import GrowingOverview
from recon3d.config.experiment import Experiment
from recon3d.config.getdata import SUGGESTED, GetData
from recon3d.config.settings_file import SettingsFile, ini_beside
from recon3d.errors import DataError, ParameterError, warn
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan, open_store
from recon3d.plot.grain.quality import quality_figure, write_results
from recon3d.readers.open import look_at_frame_shape
from recon3d.reconstruction.model.checks import check_centres, check_crystal
from recon3d.reconstruction.quality.trials import Trial, check_grain
from recon3d.reconstruction.run import reconstruct
from recon3d.scan.follow import Follower
from recon3d.scan.scan import Scan
from recon3d.simulate.lesson import simulate_lesson
from recon3d.widgets.controls.asked import NotAskedError, Waiting, tell_what_is_missing, when_asked
from recon3d.widgets.controls.experiment_form import ExperimentForm
from recon3d.widgets.controls.panel import Panel
from recon3d.widgets.display import is_served, open_viewer, png_of
from recon3d.widgets.engines import Engines
from recon3d.widgets.grain import GrainSlices, GrainSurface
from recon3d.widgets.live import Live
from recon3d.widgets.mosaicity import Mosaicity
from recon3d.widgets.projections import Projections
from recon3d.widgets.reconstruct import Reconstruct
from recon3d.widgets.roi import RegionOfInterest
from recon3d.widgets.threshold import Threshold

SIMULATED = "simulated"
_VERDICT_COLORS = {True: "#080", False: "#c00", None: "#666"}
Made = TypeVar("Made")


class Session:
    """A scan, the settings chosen for it, and the results so far.

    Parameters
    ----------
    settings
        The settings file; it must name the scan.
    show_progress
        False for silent runs.
    growing
        The scan is still being written: its complete projections are used.
    """

    @checked()
    def __init__(
        self, settings: SettingsFile, *, show_progress: bool = True, growing: bool = False
    ) -> None:
        self.growing = growing
        self.settings = settings
        self.show_progress = show_progress
        self._scan: Scan | None = None
        self._engines: Engines | None = None

    @classmethod
    @checked()
    def start(
        cls,
        data: str | Path | None = None,
        name: str = "",
        experiment: str | Path | None = None,
        *,
        settings: str | Path = "choices.ini",
        growing: bool = False,
        show_progress: bool = True,
        **more: Any,
    ) -> Session:
        """Begin with a scan, or go on with the one that the settings file names.

        Parameters
        ----------
        data
            A folder of EDF frames, or a BLISS file. Where None the scan of the settings file
            is taken; where there is none either, a small scan of a planted grain is simulated
            beside it.
        name
            How the names of the frames begin, or the name of the detector.
        experiment
            The .ini file with unit cell, hkl, wavelength, M and the volume; where None the one
            .ini file beside the frames.
        settings
            The settings file.
        growing
            The scan is still being written: its complete projections are used.
        show_progress
            False for silent runs.
        more
            Any other keys of the settings file, such as `phi0`, `chi0`, `motors` or `entries`.

        Raises
        ------
        ParameterError, DataError
            There is no such data, no frame of that name, or the .ini file is wrong.
        """
        session = cls(SettingsFile(Path(settings)), show_progress=show_progress, growing=growing)
        known = session.settings.read()
        if data is None and "datadir" not in known:
            missing = "there is no scan here yet; a small one of a planted grain can be simulated"
            session._asked_for(missing, "Simulate it", partial(session._simulate, more))
        elif data is not None:
            session._take(Path(data).expanduser(), name, experiment, more)
            if session._has_experiment and not (growing or is_served()):
                check_crystal(session.scan.motors, session.experiment.crystal)
        elif more or experiment is not None:
            extra = {} if experiment is None else {"experiment": Path(experiment).resolve()}
            session.settings.update({**more, **extra})
        return session

    @property
    def plan(self) -> GetData:
        """What the settings file says to `getdata`."""
        return self.settings.getdata()

    @property
    def experiment(self) -> Experiment:
        """The experiment, with what was chosen for it."""
        return self.settings.experiment()

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return Path(self.plan.outputpath) / self.plan.outputdirname

    @property
    def scan(self) -> Scan:
        """The raw scan in whole frames; its motors are read once."""
        if self._scan is None:
            self._scan = self._open()
            origin = self._scan.origin
            # What was found is written down, so that the command line finds the same.
            if not is_served():
                self.settings.update({"phi0": origin.phi_deg, "chi0": origin.chi_deg})
        return self._scan

    @property
    def store(self) -> CleanedScan:
        """The scan, cleaned with what was chosen; cleaned anew only where that changed."""
        _ = self.scan
        plan, path = self.plan, self.folder / "scan.h5"
        if path.is_file():
            store = open_store(path)
            said = store.provenance.get("getdata", {})
            place = {key: said[key] for key in ("outputpath", "outputdirname") if key in said}
            if said == plan.texts() | place:  # a folder that was moved holds the same scan
                return store
        missing = "the scan is not cleaned with these choices yet"
        return self._asked_for(missing, "Clean it", self._clean)

    @property
    def grain(self) -> Grain:
        """The grain; it is reconstructed where nobody did so since the scan was cleaned."""
        store = self.store
        if self._is_newer(store):
            return Grain.load(self.folder / "grain.h5")
        missing = "there is no grain of these choices yet"
        return self._asked_for(missing, "Reconstruct it", partial(self._reconstruct, store))

    def write_experiment(self) -> ExperimentForm:
        """A form for the .ini file: crystal, detector and the box of voxels."""
        return ExperimentForm(self.settings)

    def choose_roi(self) -> RegionOfInterest:
        """The widget of 01_choose_roi."""
        texts = self.settings.read()
        if self._has_experiment:
            check_centres(self.experiment)
        scan = region_of(self.scan, self.plan) if "poi" in texts else self.scan
        return RegionOfInterest(scan, self.settings)

    def tune_threshold(self) -> Threshold:
        """The widget of 02_tune_threshold."""
        return Threshold(self.scan, self.plan, self.settings)

    @when_asked
    def check_projections(self) -> Projections:
        """The widget of 03_check_projections; it compares with the grain where there is one."""
        if self.growing:
            overview = GrowingOverview(self.plan.cleaning, calibration_images(self.plan))
            return Projections(overview.extend(region_of(self.scan, self.plan)), self.settings)
        store = self.store
        found: dict[str, Any] = {}
        if self._grain_is_of(store):
            found = {"grain": self.grain, "experiment": self.experiment}
        if self._has_experiment:
            found["excluded_deg"] = self.experiment.settings.omega_exclude
        return Projections(store, self.settings, clean_anew=self._clean_anew, **found)

    @when_asked
    def reconstruct(self, **options: Any) -> Reconstruct:
        """The widget of 04_reconstruct; its engines outlive it, for the next one."""
        self._engines = self._engines or Engines()
        options = {"folder": self.folder, "engines": self._engines} | options
        store = self.store
        widget = Reconstruct(store, self.experiment, self.settings, **options)
        if self._grain_is_of(store):
            widget.show_saved(self.grain)
        return widget

    @when_asked
    @checked()
    def mosaicity(self, shown: Literal["projection", "slice"] = "projection") -> Mosaicity:
        """A map of one projection, or of the grain where there is one; `shown` comes first."""
        store = self.store
        if shown == "slice" or self._grain_is_of(store):
            widget = Mosaicity(store, self.grain, self.experiment)
        else:
            widget = Mosaicity(store, experiment=self.experiment if self._has_experiment else None)
        widget.shown.value = shown
        return widget

    @when_asked
    def show_grain(self) -> controls.HTML:
        """What is known of the grain, and what makes it doubtful, as a table."""
        return controls.HTML(self.grain._repr_html_())

    @when_asked
    def check_grain(self) -> Waiting:
        """Trials of the grain on its own scan, in words, when the button is pressed."""
        _ = self.grain
        trials: list[Trial] = []
        path = self.folder / "grain.h5"
        wanted = NotAskedError(
            "the trials take about as long as the reconstruction",
            "Check",
            lambda: trials.extend(check_grain(path)),
        )
        return Waiting(wanted, lambda: _table(trials))

    @when_asked
    def clean(self) -> controls.HTML:
        """Clean the whole scan with what was chosen, and tell what became of it."""
        store = self.store
        projections, frames, rows, cols = store.shape
        return controls.HTML(
            f"{html.escape(str(store.path))}: {projections} projections of {frames} frames, "
            f"{cols} x {rows} pixels"
        )

    @when_asked
    def slices(self) -> GrainSlices:
        """Slices through the grain, to be moved."""
        return GrainSlices(self.grain)

    @when_asked
    def surface(self) -> GrainSurface:
        """The grain in 3D, to be turned with the mouse."""
        return GrainSurface(self.grain)

    @checked()
    def live(self, *widgets: Panel) -> Live:
        """Follow a scan that is still being written; what is new appears in open widgets."""
        return Live(self.settings, widgets)

    @when_asked
    def show_quality(self) -> controls.Widget:
        """How far the grain can be trusted: its residuals, as a picture."""
        grain = self.grain
        if grain.residual.size:
            return controls.Image(
                value=png_of(quality_figure(grain)),
                layout=controls.Layout(width="fit-content", margin="0"),
            )
        return controls.HTML(
            "a backprojection leaves no residuals: reconstruct iteratively to judge it"
        )

    def results(self) -> None:
        """Name the files that were written, and the commands that do the same."""
        for path in sorted(self.folder.glob("*")):
            print(f"{-(-path.stat().st_size // 1024):>9,} KiB  {path}")
        print(self.commands())

    @when_asked
    def open_viewer(self) -> controls.HTML:
        """Open the grain in napari, where there is a display; tell where it can be opened else."""
        return controls.HTML(html.escape(open_viewer(self.grain)))

    def commands(self) -> str:
        """The two commands that do the same from the command line."""
        name = self.settings.path.name
        return f"recon3d getdata --settings {name}\nrecon3d reconstruct --settings {name}"

    def __repr__(self) -> str:
        plan = self.plan
        return f"<Session: {plan.datadir}, results in {self.folder}, {self.settings.path}>"

    @property
    def _has_experiment(self) -> bool:
        return "experiment" in self.settings.read()

    def _grain_is_of(self, store: CleanedScan) -> bool:
        return self._has_experiment and self._is_newer(store)

    def _asked_for(self, missing: str, label: str, work: Callable[[], Made]) -> Made:
        """Do what a page needs; on one that is served, only when somebody presses the button."""
        if is_served():
            tell_what_is_missing()
            raise NotAskedError(missing, label, work)
        return work()

    def _clean_anew(self) -> CleanedScan:
        self.settings.update(dict.fromkeys(SUGGESTED))
        return self._clean()

    def _clean(self) -> CleanedScan:
        return getdata(self.plan, show_progress=self.show_progress)

    def _reconstruct(self, store: CleanedScan) -> Grain:
        memory, show = self.settings.memory_gib(), self.show_progress
        grain = reconstruct(store, self.experiment, memory_gib=memory, show_progress=show)
        write_results(grain, self.folder)
        return grain

    def _is_newer(self, store: CleanedScan) -> bool:
        """Whether there is a grain that was made after the scan was last cleaned."""
        path = self.folder / "grain.h5"
        return path.is_file() and path.stat().st_mtime >= store.path.stat().st_mtime

    def _simulate(self, more: dict[str, Any]) -> None:
        folder = self.settings.path.resolve().parent / SIMULATED
        phi0, chi0 = simulate_lesson(folder, show_progress=self.show_progress)
        values = {"datadir": SIMULATED, "dataname": "topotomo_", "phi0": phi0, "chi0": chi0}
        ini = f"{SIMULATED}/experiment.ini"
        self._begin({"outputdirname": "results", **values, "experiment": ini, **more})

    def _open(self) -> Scan:
        plan = self.plan
        if not self.growing:
            return open_data(plan, crop=False, show_progress=self.show_progress)
        follower = Follower(plan.datadir, plan.dataname, **opening(plan))
        scan = follower.poll()
        if scan is None:
            raise DataError(f"{plan.datadir}: {follower.reason}; wait for the second projection")
        return scan

    def _take(
        self, data: Path, name: str, experiment: str | Path | None, more: dict[str, Any]
    ) -> None:
        if not data.exists():
            raise ParameterError(f"{data}: there is no such folder or file of frames")
        if not self.growing:
            look_at_frame_shape(data, name)
        known, given = self.settings.read(), data.resolve()
        values = {"datadir": given, "dataname": name, **more}
        ini = (
            Path(experiment).expanduser().resolve()
            if experiment
            else ini_beside(given, self.settings.path)
        )
        if ini is not None:
            Experiment.from_ini(ini)  # what is wrong with it is said here, in the first cell
            values["experiment"] = ini
        same = "datadir" in known and Path(self.settings.getdata().datadir) == given
        if same and known.get("dataname", "''").strip("'") == name:
            self.settings.update(values)
        else:
            self._begin({"outputdirname": "results", **values})

    def _begin(self, values: dict[str, Any]) -> None:
        """Forget what was chosen for another scan."""
        known = self.settings.read()
        if known and is_served():
            raise ParameterError(
                f"{self.settings.path} is about other data ({known.get('datadir')}), and a served "
                "page begins nothing anew: run the notebook in JupyterLab, or name other settings"
            )
        if known:
            warn(f"{self.settings.path} was about other data: its choices begin anew")
        self.settings.update(values, forget=known)


def _table(trials: Sequence[Trial]) -> controls.HTML:
    """What came out of some trials, a row for each."""
    rows = [
        f"<tr><td style='color:{_VERDICT_COLORS[trial.passed]}'>{trial.verdict}</td>"
        f"<th style='text-align:left'>{html.escape(trial.name)}</th>"
        f"<td style='text-align:left'>{html.escape(trial.words)}</td></tr>"
        for trial in trials
    ]
    return controls.HTML(f"<table>{''.join(rows)}</table>")
