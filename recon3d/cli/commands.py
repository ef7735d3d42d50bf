"""What each command of the command line does."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon3d.config.declare import parse_texts, settings_of
from recon3d.config.experiment import Experiment
from recon3d.config.getdata import GETDATA_KEYS, PATHS, POSITIONAL, GetData
from recon3d.config.reconstruction import Settings
from recon3d.errors import ParameterError, warn

if TYPE_CHECKING:
    from recon3d.config.settings_file import SettingsFile

logger = logging.getLogger("recon3d.cli.commands")

_BYTES_OF_A_VOXEL = 21
"""What grain.h5 takes before it is packed: five numbers and a truth value."""


def demo(arguments: argparse.Namespace) -> None:
    """Run the demonstration and print how far each method is from the truth."""
    from recon3d.cli.demo import run_demo, table

    rows = run_demo(arguments.out, full=arguments.full, show_progress=not arguments.quiet)
    print(table(rows))
    logger.info("everything is in %s", arguments.out)


def simulate(arguments: argparse.Namespace) -> None:
    """Simulate a scan of a planted grain."""
    from recon3d.simulate.detector import SimulatedDetector
    from recon3d.simulate.faults import Fault
    from recon3d.simulate.phantom import make_phantom
    from recon3d.simulate.presets import OFF_CENTRE_POSITION_UM, PLANS, grain_size_um
    from recon3d.simulate.writers.bliss_scan import simulate_bliss
    from recon3d.simulate.writers.edf_scan import simulate_scan

    _keep_others(arguments.out, overwrite=arguments.overwrite)
    plan = dataclasses.replace(PLANS[arguments.scan](), handedness=arguments.handedness)
    position = OFF_CENTRE_POSITION_UM if arguments.scan == "off-centre" else (0.0, 0.0, 0.0)
    phantom = make_phantom(
        arguments.grain,
        arguments.size or grain_size_um(plan, position_um=position),
        arguments.spread,
        arguments.seed,
        position_um=position,
    )
    common: dict[str, Any] = {
        "voxels": arguments.voxels,
        "dark_frames": arguments.dark_frames,
        "overwrite": arguments.overwrite,
        "faults": [Fault.parse(text) for text in arguments.fault],
        "show_progress": not arguments.quiet,
    }
    detector = SimulatedDetector(seed=arguments.seed)
    if arguments.format == "bliss":
        name = arguments.prefix.rstrip("_") or "scan"
        written = simulate_bliss(
            arguments.out, phantom, plan, detector, name=name, external=arguments.external, **common
        )
    else:
        written = simulate_scan(
            arguments.out, phantom, plan, detector, prefix=arguments.prefix, **common
        )
    logger.info("written: %s, with truth.h5 and experiment.ini", written)


def _keep_others(folder: Path, *, overwrite: bool) -> None:
    """Refuse to simulate where the .ini or the truth of another scan would be lost."""
    for name in ("experiment.ini", "truth.h5"):
        if (folder / name).exists() and not overwrite:
            raise ParameterError(
                f"{folder / name} is there already: choose another folder, or --overwrite"
            )


def getdata(arguments: argparse.Namespace) -> None:
    """Read and clean a scan; leave scan.h5 and the arrays in the output folder."""
    from recon3d.cleaning.getdata import getdata

    plan, show = GetData.from_texts(_getdata_texts(arguments)), not arguments.quiet
    getdata(plan, show_progress=show, communicator=arguments.communicator)


def reconstruct(arguments: argparse.Namespace) -> None:
    """Reconstruct the grain of an .ini file; leave grain.h5 and grain_ang.npy in its path."""
    from recon3d.atomic import require_writable
    from recon3d.config.settings_file import USUAL_MEMORY_GIB, OfFile
    from recon3d.files.hdf5 import require_room
    from recon3d.files.store import open_store
    from recon3d.plot.grain.results import write_results
    from recon3d.reconstruction.fit.checkpoint import Checkpoints
    from recon3d.reconstruction.run import reconstruct

    memory_gib = USUAL_MEMORY_GIB
    if arguments.settings is None:
        experiment = Experiment.from_ini(arguments.inifile)
    else:
        settings = _settings(arguments)
        experiment = settings.experiment(arguments.inifile)
        memory_gib = settings.memory_gib()
    given = _given(arguments, settings_of(Settings) | settings_of(OfFile))
    memory_gib = parse_texts(OfFile, given).get("memory_gib", memory_gib)
    experiment = experiment.with_settings(**parse_texts(Settings, given))
    folder = _folder_of(experiment, arguments.inifile or arguments.settings)
    store = open_store(folder / "scan.h5")
    require_writable(folder)
    require_room(folder / "grain.h5", _BYTES_OF_A_VOXEL * math.prod(experiment.volume.shape))
    seconds = experiment.settings.checkpoint_seconds
    checkpoints = Checkpoints(folder / "checkpoint.h5", seconds, go_on=arguments.resume)
    grain = reconstruct(
        store,
        experiment,
        memory_gib=memory_gib,
        show_progress=not arguments.quiet,
        checkpoints=checkpoints,
        communicator=arguments.communicator,
    )
    if arguments.communicator.rank > 0:
        return
    logger.info("%r", grain)
    for path in write_results(grain, folder):
        logger.info("written: %s", path)
    checkpoints.remove()


def view(arguments: argparse.Namespace) -> None:
    """Look at a grain in napari, until its window is closed."""
    from recon3d.viewer.launch import view

    view(arguments.grain, arguments.over, scan=arguments.scan, ini=arguments.ini, block=True)


def figures(arguments: argparse.Namespace) -> None:
    """Draw every figure of a grain."""
    from recon3d.cli.figures import write_figures

    written = write_figures(
        arguments.grain,
        arguments.out or arguments.grain.parent / "figures",
        scan=arguments.scan,
        ini=arguments.ini,
        suffix=arguments.format,
        film=None if arguments.film == "none" else arguments.film,
        show_progress=not arguments.quiet,
    )
    for path in written:
        logger.info("written: %s", path)


def export(arguments: argparse.Namespace) -> None:
    """Write a grain, or the summed projections of an .ini, for other programs."""
    from recon3d.files.exports.by_ending import export_grain
    from recon3d.files.grain import Grain

    if arguments.grain.suffix == ".ini":
        _export_sums(arguments.grain, arguments.out)
        return
    paths = export_grain(
        Grain.load(arguments.grain),
        arguments.out,
        across=arguments.across,
        at_um=arguments.at,
        every_slice=arguments.all,
    )
    for path in paths:
        logger.info("written: %s", path)


def analyse(arguments: argparse.Namespace) -> None:
    """Find the cells of a grain; print a summary, and leave tables, maps and figures."""
    from recon3d.cli.analyse import analyse
    from recon3d.files.grain import Grain

    summary, paths = analyse(
        Grain.load(arguments.grain),
        arguments.out or arguments.grain.parent / "analysis",
        threshold_deg=arguments.threshold,
        min_voxels=arguments.min_voxels,
        burgers_nm=arguments.burgers,
    )
    print(summary, end="")
    for path in paths:
        logger.info("written: %s", path)


def maps(arguments: argparse.Namespace) -> None:
    """Write the maps of every projection of a cleaned scan, or of a scan as `getdata` takes it."""
    from recon3d.analysis.maps_file import cleaned_projections, write_maps
    from recon3d.cleaning.getdata import calibration_images, open_data
    from recon3d.files.store import open_store
    from recon3d.progress import bars_shown

    *source, out = (word.strip() for word in arguments.words)
    if len(source) == 1:
        store = open_store(source[0])
        if Path(out).resolve() == store.path.resolve():
            raise ParameterError(f"{out} is what the maps are made from: choose another name")
        with bars_shown(not arguments.quiet):
            write_maps(
                store, store, out, background=arguments.background, parameters=store.provenance
            )
    elif len(source) == len(POSITIONAL):
        for key, text in zip(POSITIONAL, source, strict=True):
            setattr(arguments, key, text)
        plan = GetData.from_texts(_given(arguments, GETDATA_KEYS))
        scan = open_data(plan, show_progress=not arguments.quiet)
        frames = (
            scan
            if arguments.raw
            else cleaned_projections(scan, plan.cleaning, calibration_images(plan))
        )
        made = {"getdata": plan.texts(), "raw": arguments.raw}
        with bars_shown(not arguments.quiet):
            write_maps(scan, frames, out, background=arguments.background, parameters=made)
    else:
        raise ParameterError(
            f"{len(source) + 1} arguments: expected SCAN.h5 OUT.h5, or the {len(POSITIONAL)} of "
            "getdata and OUT.h5"
        )
    logger.info("written: %s", out)


def _export_sums(inifile: Path, out: Path) -> None:
    """Write the summed projections, aligned as the grain beside them was where there is one."""
    from recon3d.files.grain import Grain
    from recon3d.files.store import open_store
    from recon3d.reconstruction.build import build_model
    from recon3d.reconstruction.model.checks import require_plausible
    from recon3d.reconstruction.quality.astra import export_sums
    from recon3d.reconstruction.quality.reprojection import model_of

    experiment = Experiment.from_ini(inifile)
    folder = _folder_of(experiment, inifile)
    store = open_store(folder / "scan.h5")
    if out.resolve() in {(folder / name).resolve() for name in ("scan.h5", "grain.h5")}:
        raise ParameterError(f"{out} is what the export is made from: choose another name")
    if (folder / "grain.h5").is_file():
        model = model_of(Grain.load(folder / "grain.h5"), store, experiment)
    else:
        require_plausible(store, experiment)
        model = build_model(store, experiment, experiment.settings.handedness or 1)
    export_sums(model, out)
    logger.info("written: %s", out)


def _folder_of(experiment: Experiment, file: Path) -> Path:
    """The folder that getdata wrote, which an experiment must name."""
    if experiment.path is None:
        raise ParameterError(f"{file}: the key 'path' is missing: give the folder getdata wrote")
    if not (experiment.path / "scan.h5").exists():
        what = "scan.h5 in the folder" if experiment.path.is_dir() else "folder"
        raise ParameterError(
            f"{file}: path: there is no {what} {experiment.path}: expected what getdata wrote (a "
            "relative path counts from the .ini)"
        )
    return experiment.path


def notebooks(arguments: argparse.Namespace) -> None:
    """Copy the notebooks into a folder, and open them in JupyterLab if asked to."""
    from recon3d.cli.notebooks import copy_notebooks, open_jupyterlab

    paths = copy_notebooks(arguments.dir, overwrite=arguments.overwrite)
    for path in paths:
        print(path)
    if arguments.open:
        open_jupyterlab(arguments.dir)


def _getdata_texts(arguments: argparse.Namespace) -> dict[str, str]:
    """What is said to `getdata`: the command line wins over the settings file."""
    given = _given(arguments, GETDATA_KEYS)
    filed = {} if arguments.settings is None else _settings(arguments).getdata_texts()
    for key in sorted(set(filed) & set(given) & set(POSITIONAL)):
        if key not in PATHS and filed[key] != given[key]:
            warn(
                f"{key.upper()} is {given[key]} here and {filed[key]} in {arguments.settings}: "
                "the command line is used"
            )
    return filed | given


def _given(arguments: argparse.Namespace, keys: Iterable[str]) -> dict[str, str]:
    """The texts that the command line gives, by their keys."""
    said = {key: getattr(arguments, key, None) for key in keys}
    return {key: text.strip() for key, text in said.items() if text is not None}


def _settings(arguments: argparse.Namespace) -> SettingsFile:
    from recon3d.config.settings_file import SettingsFile

    if not arguments.settings.is_file():
        raise ParameterError(f"--settings {arguments.settings}: there is no such file")
    return SettingsFile(arguments.settings)
