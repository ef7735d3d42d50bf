"""The commands that show: `recon3d view | figures | export | analyse | maps | notebooks`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from recon3d.cli import commands
from recon3d.cli.exit_status import Parser

Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_view(subparsers: Subparsers) -> Parser:
    """Add the command `view`."""
    parser = subparsers.add_parser("view", help="look at a grain in napari")
    parser.add_argument("grain", metavar="GRAIN.h5", type=Path, help="a reconstructed grain")
    parser.add_argument("--over", metavar="GRAIN.h5", type=Path, help="another one to lay over it")
    _add_sources(parser)
    parser.set_defaults(run=commands.view)
    return parser


def add_figures(subparsers: Subparsers) -> Parser:
    """Add the command `figures`."""
    parser = subparsers.add_parser("figures", help="draw every figure of a grain, and a film")
    parser.add_argument("grain", metavar="GRAIN.h5", type=Path, help="a reconstructed grain")
    parser.add_argument(
        "out", metavar="OUTDIR", nargs="?", type=Path, help="folder (default: beside the grain)"
    )
    parser.add_argument("--format", choices=["pdf", "svg", "png"], default="pdf", help="(pdf)")
    parser.add_argument(
        "--film", choices=["gif", "mp4", "none"], default="gif", help="the turning grain (gif)"
    )
    _add_sources(parser)
    parser.set_defaults(run=commands.figures)
    return parser


def _add_sources(parser: Parser) -> None:
    parser.add_argument(
        "--scan", metavar="SCAN.h5", type=Path, help="its frames (default: scan.h5 beside it)"
    )
    parser.add_argument(
        "--ini", type=Path, metavar="INIFILE", help="its .ini (default: what the grain recorded)"
    )


def add_export(subparsers: Subparsers) -> Parser:
    """Add the command `export`."""
    parser = subparsers.add_parser(
        "export",
        help="write a grain, or summed projections, for another program",
        description="Write a grain in the format that OUT ends with: .vti (ParaView), .dream3d, "
        ".ome.zarr, .csv (its voxels), or, one slice, .ctf (MTEX, Channel 5) and .orix.h5. Given "
        "an .ini file in its place, write the summed projections of the scan in the .ini's `path` "
        "and their geometry, as ASTRA's vectors, into an HDF5 file: another tomography program can "
        "then check the shape.",
    )
    parser.add_argument("grain", metavar="GRAIN.h5", type=Path, help="a grain, or an .ini file")
    parser.add_argument("out", metavar="OUT", type=Path, help="the file to write")
    parser.add_argument(
        "--across", choices=["x", "y", "z"], default="z", help="the axis that slices cut (z)"
    )
    parser.add_argument(
        "--at", type=float, metavar="UM", help="where along it (the middle of the volume)"
    )
    parser.add_argument(
        "--all", action="store_true", help="a file for every slice of the grain, numbered"
    )
    parser.set_defaults(run=commands.export)
    return parser


def add_analyse(subparsers: Subparsers) -> Parser:
    """Add the command `analyse`."""
    parser = subparsers.add_parser(
        "analyse",
        help="find a grain's cells and boundaries: tables, maps, figures, a summary",
        description="Part a grain into cells of nearly one orientation. Leaves cells.csv, "
        "boundaries.csv, analysis.h5 (NeXus), figures and summary.txt in OUTDIR.",
    )
    parser.add_argument("grain", metavar="GRAIN.h5", type=Path, help="a reconstructed grain")
    parser.add_argument(
        "out", metavar="OUTDIR", nargs="?", type=Path, help="folder (default: analysis beside it)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="DEG",
        help="step of orientation that parts two cells (default: what the data tell)",
    )
    parser.add_argument(
        "--min-voxels", type=int, metavar="N", help="smallest cell (0.2 %% of the grain, 27)"
    )
    parser.add_argument(
        "--burgers", type=float, metavar="NM", help="Burgers vector (from a cubic F or I cell)"
    )
    parser.set_defaults(run=commands.analyse)
    return parser


def add_maps(subparsers: Subparsers) -> Parser:
    """Add the command `maps`; the options of `getdata` are added where they are known."""
    parser = subparsers.add_parser(
        "maps",
        help="write maps of every projection: mean, width, skewness, peaks, colours",
        description="Work out maps of every projection (mean, FWHM, skewness, kurtosis and "
        "amplitude of each angle, peaks, mosaicity in colours) and write them as NeXus. The scan "
        "is a cleaned SCAN.h5, or the 14 arguments of getdata, whose output folder is not touched.",
    )
    parser.add_argument(
        "words", metavar="SCAN.h5 OUT.h5", nargs="+", help="or getdata's arguments and OUT.h5"
    )
    parser.add_argument("--raw", action="store_true", help="of frames as they were recorded")
    parser.add_argument(
        "--background",
        type=float,
        default=0.0,
        metavar="COUNTS",
        help="taken off every pixel first (0)",
    )
    parser.set_defaults(run=commands.maps)
    return parser


def add_notebooks(subparsers: Subparsers) -> Parser:
    """Add the command `notebooks`."""
    parser = subparsers.add_parser("notebooks", help="copy the notebooks out, and open them")
    parser.add_argument("dir", metavar="DIR", nargs="?", type=Path, default=Path("notebooks"))
    parser.add_argument("--overwrite", action="store_true", help="replace changed notebooks")
    parser.add_argument("--open", action="store_true", help="start JupyterLab, for this machine")
    parser.set_defaults(run=commands.notebooks)
    return parser
