"""The commands that make a grain: `recon3d demo | simulate | getdata | reconstruct`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recon3d.cli.table import argument, command, file_argument, options, places, within
from recon3d.config.cleaning import Cleaning
from recon3d.config.declare import parse_texts, settings_of
from recon3d.config.experiment import Experiment
from recon3d.config.getdata import GETDATA_KEYS, PATHS, POSITIONAL, GetData
from recon3d.config.reconstruction import Settings
from recon3d.config.settings_file import OfFile, SettingsFile
from recon3d.errors import ParameterError, warn

logger = logging.getLogger("recon3d.cli.commands")

SCANS = ("demo", "rocking", "tilts", "strain", "off-centre", "full")
GRAINS = ("subgrains", "gradient", "bent", "single", "strained")
SETTINGS_FILE = file_argument(
    "--settings",
    "FILE",
    "settings file of the notebooks (choices.ini); it says what is not given here, and wins over "
    "INIFILE",
)

GETDATA_OPTIONS = (*options(GetData, "how the scan was taken"), *options(Cleaning, "cleaning"))

_BYTES_OF_A_VOXEL = 45
"""What grain.h5 takes before it is packed: ten numbers, colours and a truth value."""


@command(
    file_argument("--out", "DIR", "folder for it all", default=Path("recon3d_demo")),
    argument("--full", action="store_true", help="a rocking-only and a strain scan too"),
)
def demo(arguments: argparse.Namespace) -> None:
    """Simulate a small scan, clean it, reconstruct it, and compare with the truth.

    The grain is reconstructed in three ways; how far each is from the truth is printed, and
    figures are drawn. Takes less than two minutes.
    """
    from recon3d.cli.demo import run_demo
    from recon3d.simulate.lesson import table

    rows = run_demo(arguments.out, full=arguments.full, show_progress=not arguments.quiet)
    print(table(rows))
    logger.info("everything is in %s", arguments.out)


@command(
    file_argument("out", "OUT", "folder for the frames"),
    argument("--format", choices=["edf", "bliss"], default="edf", help="file format (edf)"),
    argument(
        "--external",
        action="store_true",
        help="bliss: frames in files of their own, to which the scan's file points",
    ),
    argument("--scan", choices=SCANS, default="demo", help="what is scanned (demo)"),
    argument("--grain", choices=GRAINS, default="subgrains", help="what is planted (subgrains)"),
    argument("--size", type=within(0.1, 10_000), metavar="UM", help="diameter of the grain"),
    argument(
        "--spread", type=within(0, 90), default=0.06, metavar="DEG", help="largest tilt (0.06)"
    ),
    argument("--handedness", type=int, choices=[1, -1], default=1, help="h (+1)"),
    argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:STRENGTH]",
        help="something to be wrong with the scan, once for each: bent, bent_across, "
        "two_orientations, mu_drift, acceptance, quarter, weak, wrap, zingers, dead_columns, edge, "
        "second_grain, extinction (a wrong name lists them; docs/reconstruction.md, "
        "recon3d.simulate.faults)",
    ),
    argument("--seed", type=within(0, 2**63, int), default=0, help="of shape, tilts and noise (0)"),
    argument(
        "--voxels", type=within(1, 1290, int), default=48, help="grain_steps of the .ini (48)"
    ),
    argument("--prefix", default="topotomo_", help="what file names begin with (topotomo_)"),
    argument(
        "--dark-frames",
        type=within(0, 10_000, int),
        default=0,
        metavar="N",
        help="background frames to add (0)",
    ),
    argument("--overwrite", action="store_true", help="replace frames in OUT"),
)
def simulate(arguments: argparse.Namespace) -> None:
    """Write the frames that a planted grain would give, and the truth beside them.

    Frames with noise, hot pixels, beam decay and motor jitter go into OUT, as ID06-style EDF
    files or an ID03-style BLISS HDF5 file, with truth.h5 and experiment.ini beside them.
    """
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


@command(*places(POSITIONAL), SETTINGS_FILE, *GETDATA_OPTIONS, shared=True)
def getdata(arguments: argparse.Namespace) -> None:
    """Read and clean the frames of a scan.

    They are cleaned one projection at a time; scan.h5 and the NumPy arrays go into
    OUTPUTPATH/OUTPUTDIRNAME.
    """
    from recon3d.cleaning.getdata import getdata

    plan, show = GetData.from_texts(_getdata_texts(arguments)), not arguments.quiet
    getdata(plan, show_progress=show, communicator=arguments.communicator)


@command(
    file_argument("inifile", "INIFILE", "file of `key value` lines", nargs="?"),
    SETTINGS_FILE,
    *options(Settings),
    *options(OfFile),
    argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint that an unfinished run of the same settings left",
    ),
    shared=True,
)
def reconstruct(arguments: argparse.Namespace) -> None:
    """Reconstruct the grain from a cleaned scan.

    It is made from scan.h5 in the .ini file's `path`; grain.h5 and grain_ang.npy are left
    there. Options given here win over the .ini file.
    """
    from recon3d.files.grain import SPARE_BYTES
    from recon3d.files.hdf5 import require_replaceable, require_room
    from recon3d.files.store import open_store
    from recon3d.plot.grain.quality import RESULTS, write_results
    from recon3d.reconstruction.fit.checkpoint import Checkpoints
    from recon3d.reconstruction.run import reconstruct
    from recon3d.runtime.atomic import require_writable

    memory_gib = OfFile.memory_gib
    if arguments.settings is None:
        experiment = Experiment.from_ini(arguments.inifile)
    else:
        settings = _settings(arguments)
        experiment = settings.experiment(arguments.inifile)
        memory_gib = settings.memory_gib()
    given = given_texts(arguments, settings_of(Settings) | settings_of(OfFile))
    memory_gib = parse_texts(OfFile, given).get("memory_gib", memory_gib)
    experiment = experiment.with_settings(**parse_texts(Settings, given))
    folder = folder_of(experiment, arguments.inifile or arguments.settings)
    store = open_store(folder / "scan.h5")
    require_writable(folder, *RESULTS)
    require_replaceable(folder / "grain.h5")
    voxels = math.prod(experiment.volume.shape)
    require_room(folder / "grain.h5", SPARE_BYTES + _BYTES_OF_A_VOXEL * voxels)
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


def folder_of(experiment: Experiment, file: Path) -> Path:
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


def _getdata_texts(arguments: argparse.Namespace) -> dict[str, str]:
    """What is said to `getdata`: the command line wins over the settings file."""
    given = given_texts(arguments, GETDATA_KEYS)
    filed = {} if arguments.settings is None else _settings(arguments).getdata_texts()
    for key in sorted(set(filed) & set(given) & set(POSITIONAL)):
        if key not in PATHS and filed[key] != given[key]:
            warn(
                f"{key.upper()} is {given[key]} here and {filed[key]} in {arguments.settings}: "
                "the command line is used"
            )
    return filed | given


def given_texts(arguments: argparse.Namespace, keys: Iterable[str]) -> dict[str, str]:
    """The texts that the command line gives, by their keys."""
    said = {key: getattr(arguments, key, None) for key in keys}
    return {key: text.strip() for key, text in said.items() if text is not None}


def _settings(arguments: argparse.Namespace) -> SettingsFile:
    if not arguments.settings.is_file():
        raise ParameterError(f"--settings {arguments.settings}: there is no such file")
    return SettingsFile(arguments.settings)
