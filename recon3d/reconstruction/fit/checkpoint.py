"""The state of a fit on disk, from which an interrupted run goes on."""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from recon3d import __version__
from recon3d.config.experiment import Experiment
from recon3d.errors import DataError, OutputError, ParameterError, Recon3DError, warn
from recon3d.files.hdf5 import add_numbers, create_own, open_own, read_attributes, write_attributes
from recon3d.files.store import CleanedScan
from recon3d.projection.kernels import FloatArray, Frames
from recon3d.reconstruction.fit.iterative import BeforeSubset, FitState, IterativeFit
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.runtime.atomic import remove_leftovers
from recon3d.runtime.communicator import ALONE, Communicator, from_first

logger = logging.getLogger(__name__)

STAGES = ("", "half-1", "half-2")
"""The fits of a run: of all projections, and of either half of them."""

WIDTHS = ("rocking_width_deg", "rolling_width_deg", "two_theta_width_deg")
FOUND = ("centre_col_pix", "drift_pix", "turning_deg", "widths_deg")
"""What a fit has found of the instrument."""

FORMAT = "recon3d-checkpoint"
FORMAT_VERSION = 1

Known = dict[str, str]


@dataclass
class Checkpoints:
    """Saves the state of a run's fits now and then, and goes on from it.

    The first member of a communicator reads and writes; the others follow.
    """

    # the file of the main fit; the fits of the two halves have their own files beside it
    path: Path
    seconds: float = 60.0  # how often to save; 0 for never
    # go on from what is there; else it is replaced when the first state is saved
    go_on: bool = False
    _communicator: Communicator = field(default=ALONE, init=False)
    _known: Known = field(default_factory=dict, init=False)
    _saved: float = field(default=0.0, init=False)
    _stale: bool = field(default=False, init=False)
    _warned: bool = field(default=False, init=False)

    def begin(self, store: CleanedScan, experiment: Experiment, communicator: Communicator) -> None:
        """Say what is reconstructed, and by whom, before the first fit.

        Raises a ParameterError where the state to go on from is of another scan or of other
        settings, a DataError where it cannot be read.
        """
        self._communicator, self._stale = communicator, not self.go_on
        self._saved = time.monotonic()
        self._known = known_of(store, experiment)
        if self.go_on:
            refusal = from_first(communicator, self._refusal)
            if refusal is not None:
                raise refusal
        elif communicator.rank == 0 and self.path.exists():
            logger.info("%s of an unfinished run is not used: --resume goes on from it", self.path)

    def resume(self, stage: str, fit: IterativeFit, model: ScanModel) -> ScanModel:
        """Bring a fit to where it stood; return the model that it had then."""
        if not self.go_on:
            return model
        path, communicator = self.file(stage), self._communicator
        state = from_first(communicator, lambda: _read_small(path) if path.exists() else None)
        if state is None:
            return model
        shape, saved, found = state
        if shape[0] != len(fit.volume) or saved.columns.max() >= fit.bins.size:
            logger.info("%s has other voxels or bins: this fit starts over", path)
            return model
        volume = np.zeros(shape, np.float32)
        from_first(communicator, lambda: _read_volume(path, volume))
        communicator.sum(volume)
        if found["drift_pix"].shape != model.drift_pix.shape:
            raise DataError(f"{path}: is not of this scan (start anew without --resume)")
        model = _with_found(model, found)
        fit.restore(replace(saved, volume=volume))
        fit.see_through(model)
        logger.info("resumed: pass %d, subset %d", len(fit.residuals) + 1, fit.position + 1)
        return model

    def watch(self, stage: str) -> BeforeSubset:
        """Return what a fit calls before each subset: it saves the state when it is time to.

        It also ends the work of all members, with the state saved, when the first one was asked
        to stop.
        """

        def before_subset(fit: IterativeFit) -> None:
            stopping = self._communicator.stopping()
            due = self.seconds > 0 and time.monotonic() - self._saved >= self.seconds
            if stopping or self._communicator.agree(due):
                self.save(stage, fit)
            if stopping:
                raise KeyboardInterrupt

        return before_subset

    def save(self, stage: str, fit: IterativeFit) -> None:
        """Write where a fit stands."""
        state = fit.state()
        if self._communicator.rank == 0:
            self._write(stage, state, fit.model)
        self._saved = time.monotonic()

    def _write(self, stage: str, state: FitState, model: ScanModel) -> None:
        if self._stale:
            self.remove()
        self._stale = False
        try:
            with create_own(self.file(stage), state.volume.nbytes) as file:
                _write(file, state, model, self._known)
        except OutputError as error:
            # The run itself may well succeed: a full disk must not end it here.
            if not self._warned:
                warn(f"the state of the run cannot be saved for --resume: {error}")
            self._warned = True

    def file(self, stage: str) -> Path:
        """The file of one of the fits."""
        return self.path.with_name(f"{self.path.stem}-{stage}.h5") if stage else self.path

    def progress(self) -> tuple[int, ...]:
        """How far the saved states have come: larger is farther."""
        found: list[int] = []
        for path in map(self.file, STAGES):
            state = _read_small(path)[1] if path.exists() else None
            found += [len(state.residuals), state.position] if state else [0, 0]
        return tuple(found)

    def remove(self) -> None:
        """Remove the files: the run is complete."""
        for path in map(self.file, STAGES):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                remove_leftovers(path)

    def _refusal(self) -> Recon3DError | None:
        """Why a state cannot be gone on from; None where it can, or where there is none."""
        if not self.path.exists():
            logger.info("%s: there is no checkpoint, the run starts from the beginning", self.path)
            return None
        try:
            with _opened(self.path) as file:
                saved = {name: str(text) for name, text in read_attributes(file["known"]).items()}
            for path in map(self.file, STAGES):
                if path.exists():
                    _read_small(path)
        except DataError as error:
            return DataError(f"{error} (start anew without --resume)")
        name = next((name for name in self._known if saved.get(name) != self._known[name]), None)
        if name is None:
            return None
        return ParameterError(
            f"{self.path}: is of a run with another {name} ({saved.get(name)}, this one has "
            f"{self._known[name]}): give the same, or start anew without --resume"
        )


def known_of(store: CleanedScan, experiment: Experiment) -> Known:
    """What a state depends on, by name: scan, settings and version."""
    counts = hashlib.sha256(np.ascontiguousarray(store.integrated).tobytes())
    counts.update(np.ascontiguousarray(store.omega_deg).tobytes())
    known = {"version": __version__, "scan": f"{store.shape} {counts.hexdigest()[:16]}"}
    for part in (experiment.crystal, experiment.detector, experiment.volume, experiment.settings):
        known |= {name: str(value) for name, value in asdict(part).items()}
    del known["checkpoint_seconds"]
    return known


SMALL = ("columns", "residuals", "sums", "pixel_sums")
"""The arrays of a state but for its volume."""


def _write(file: h5py.File, state: FitState, model: ScanModel, known: Known) -> None:
    file.attrs["_format"], file.attrs["_format_version"] = FORMAT, FORMAT_VERSION
    write_attributes(file.create_group("known"), known)
    for name, values in vars(state).items():
        if name != "volume":
            add_numbers(file, f"fit/{name}", values)
    # The sums that HDF5 keeps of every chunk tell a damaged file from a whole one.
    file.create_dataset("fit/volume", data=state.volume, chunks=True, fletcher32=True)
    acceptance, turning = model.acceptance, model.turning
    found = (
        model.geometry.centre_col_pix,
        model.drift_pix,
        (turning.centre_mu_deg, turning.centre_gamma_deg),
        [getattr(acceptance, name) for name in WIDTHS],
    )
    for name, value in zip(FOUND, found, strict=True):
        add_numbers(file, f"model/{name}", np.asarray(value, np.float64))


def _read_small(path: Path) -> tuple[tuple[int, ...], FitState, dict[str, FloatArray]]:
    """The shape of a saved volume, the rest of the state, and what was found of the instrument."""
    with _opened(path) as file:
        parts = file["fit"]
        small = {name: np.asarray(parts[name][()]) for name in SMALL}
        empty = np.zeros((0, 0), np.float32)
        return (
            parts["volume"].shape,
            FitState(position=int(parts["position"][()]), volume=empty, **small),
            {name: np.asarray(file["model"][name][()]) for name in FOUND},
        )


def _with_found(model: ScanModel, found: dict[str, FloatArray]) -> ScanModel:
    """The model with what a fit had found of the instrument."""
    mu, gamma = found["turning_deg"].tolist()
    widths = dict(zip(WIDTHS, found["widths_deg"].tolist(), strict=True))
    return replace(
        model,
        geometry=replace(model.geometry, centre_col_pix=float(found["centre_col_pix"])),
        drift_pix=found["drift_pix"],
        turning=replace(model.turning, centre_mu_deg=mu, centre_gamma_deg=gamma),
        acceptance=replace(model.acceptance, **widths),
    )


def _read_volume(path: Path, volume: Frames) -> None:
    with _opened(path) as file:
        file["fit/volume"].read_direct(volume)


def _opened(path: Path) -> AbstractContextManager[h5py.File]:
    return open_own(path, FORMAT, FORMAT_VERSION, "checkpoint")
