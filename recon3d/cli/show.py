"""The commands that show results: `recon3d view | figures | export | check | ...`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from recon3d.cli.commands import GETDATA_OPTIONS, folder_of, given_texts
from recon3d.cli.table import argument, command, file_argument
from recon3d.config.experiment import Experiment
from recon3d.config.getdata import GETDATA_KEYS, POSITIONAL, GetData
from recon3d.errors import ParameterError

logger = logging.getLogger("recon3d.cli.show")

GRAIN = file_argument("grain", "GRAIN.h5", "a reconstructed grain")
SOURCES = (
    file_argument("--scan", "SCAN.h5", "its frames (default: scan.h5 beside it)"),
    file_argument("--ini", "INIFILE", "its .ini (default: what the grain recorded)"),
)


@command(GRAIN, file_argument("--over", "GRAIN.h5", "another one to lay over it"), *SOURCES)
def view(arguments: argparse.Namespace) -> None:
    """Look at a grain in napari, until its window is closed."""
    from recon3d.viewer.launch import view

    view(arguments.grain, arguments.over, scan=arguments.scan, ini=arguments.ini, block=True)


@command(
    GRAIN,
    file_argument("out", "OUTDIR", "folder (default: beside the grain)", nargs="?"),
    argument("--format", choices=["pdf", "svg", "png"], default="pdf", help="(pdf)"),
    argument(
        "--film", choices=["gif", "mp4", "none"], default="gif", help="the turning grain (gif)"
    ),
    *SOURCES,
)
def figures(arguments: argparse.Namespace) -> None:
    """Draw every figure of a grain, and a film."""
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


@command(
    file_argument("grain", "GRAIN.h5", "a grain, or an .ini file"),
    file_argument("out", "OUT", "the file to write"),
    argument("--across", choices=["x", "y", "z"], default="z", help="axis that slices cut (z)"),
    argument("--at", type=float, metavar="UM", help="where along it (the middle of the volume)"),
    argument("--all", action="store_true", help="a file for every slice of the grain, numbered"),
)
def export(arguments: argparse.Namespace) -> None:
    """Write a grain, or summed projections, for another program.

    The format is what OUT ends with: .vti or .vtkhdf (ParaView), .dream3d, .ome.zarr, .csv (its
    voxels), or, one slice, .ctf (MTEX, Channel 5) and .orix.h5. Given an .ini file in place of a
    grain, the summed projections of the scan in the .ini's `path` and their geometry, as ASTRA's
    vectors, go into an HDF5 file: another tomography program can then check the shape.
    """
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


@command(GRAIN, *SOURCES)
def check(arguments: argparse.Namespace) -> None:
    """Try a grain against its scan: data held out, spoiled, and tilted.

    Projections are held out and predicted, the support and the order of the frames spoiled, and
    the grain tilted in its own frames: a line in words for each. Takes about as long as the
    reconstruction.
    """
    from recon3d.reconstruction.quality.trials import check_grain
    from recon3d.runtime.progress import bars_shown

    with bars_shown(not arguments.quiet):
        trials = check_grain(arguments.grain, arguments.scan, arguments.ini)
    for trial in trials:
        print(trial)


@command(
    GRAIN,
    file_argument("out", "OUTDIR", "folder (default: analysis beside it)", nargs="?"),
    argument(
        "--threshold",
        type=float,
        metavar="DEG",
        help="step of orientation that parts two cells (default: what the data tell)",
    ),
    argument("--min-voxels", type=int, metavar="N", help="smallest cell (0.2 %% of the grain, 27)"),
    argument(
        "--burgers",
        type=float,
        metavar="NM",
        help="Burgers vector (default: from a hexagonal or cubic lattice)",
    ),
)
def analyse(arguments: argparse.Namespace) -> None:
    """Find a grain's cells and boundaries: tables, maps, figures, a summary.

    The grain is parted into cells of nearly one orientation; cells.csv, boundaries.csv,
    analysis.h5 (NeXus), figures and summary.txt are left in OUTDIR.
    """
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


@command(
    argument(
        "words", metavar="SCAN.h5 OUT.h5", nargs="+", help="or getdata's arguments and OUT.h5"
    ),
    argument("--raw", action="store_true", help="of frames as they were recorded"),
    argument(
        "--background",
        type=float,
        default=0.0,
        metavar="COUNTS",
        help="taken off every pixel first (0)",
    ),
    *GETDATA_OPTIONS,
)
def maps(arguments: argparse.Namespace) -> None:
    """Write maps of every projection: mean, width, skewness, peaks, colours.

    Mean, FWHM, skewness, kurtosis and amplitude of each angle, peaks, and the mosaicity in
    colours are written as NeXus. The scan is a cleaned SCAN.h5, or the 14 arguments of getdata,
    whose output folder is not touched.
    """
    from recon3d.analysis.projection_maps import cleaned_projections, write_maps
    from recon3d.cleaning.getdata import calibration_images, completed, open_data, region_of
    from recon3d.files.store import open_store
    from recon3d.runtime.progress import bars_shown

    *source, out = (word.strip() for word in arguments.words)
    show, common = not arguments.quiet, {"background": arguments.background}
    if len(source) == 1:
        store = open_store(source[0])
        if Path(out).resolve() == store.path.resolve():
            raise ParameterError(f"{out} is what the maps are made from: choose another name")
        with bars_shown(show):
            write_maps(store, store, out, parameters=store.provenance, **common)
    elif len(source) == len(POSITIONAL):
        for key, text in zip(POSITIONAL, source, strict=True):
            setattr(arguments, key, text)
        plan = GetData.from_texts(given_texts(arguments, GETDATA_KEYS))
        images, whole = calibration_images(plan), open_data(plan, crop=False, show_progress=show)
        plan, _ = completed(plan, whole, images, show_progress=show)
        scan = region_of(whole, plan)
        frames = scan if arguments.raw else cleaned_projections(scan, plan.cleaning, images)
        made = {"getdata": plan.texts(), "raw": arguments.raw}
        with bars_shown(show):
            write_maps(scan, frames, out, parameters=made, **common)
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
    from recon3d.reconstruction.quality.reprojection import export_sums, model_of

    experiment = Experiment.from_ini(inifile)
    folder = folder_of(experiment, inifile)
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


@command(
    file_argument("dir", "DIR", "folder (notebooks)", nargs="?", default=Path("notebooks")),
    argument("--overwrite", action="store_true", help="replace changed notebooks"),
    argument("--open", action="store_true", help="start JupyterLab, for this machine"),
)
def notebooks(arguments: argparse.Namespace) -> None:
    """Copy the notebooks out, and open them."""
    from recon3d.cli.notebooks import copy_notebooks, open_jupyterlab
    from recon3d.simulate.first_preview import begin_compiling

    paths = copy_notebooks(arguments.dir, overwrite=arguments.overwrite)
    for path in paths:
        print(path)
    if begin_compiling():
        logger.info("compiling in the background what a preview needs, once per installation")
    if arguments.open:
        open_jupyterlab(arguments.dir)
