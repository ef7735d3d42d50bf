"""`recon3d analyse`: tables, maps and figures of a grain's cells, and a summary in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from recon3d.analysis.cells import Cells, Table, find_cells
from recon3d.analysis.dislocations import DislocationDensity, dislocation_density
from recon3d.analysis.misorientation import kernel_average_error, kernel_average_misorientation
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.files.hdf5 import create_own
from recon3d.files.nexus import new_group, volume_data, write_entry, write_process
from recon3d.plot.grain.cells import cells_figure, dislocations_figure, misorientation_figure
from recon3d.runtime.atomic import complete_or_absent, make_folder, require_writable

Volume3D = NDArray[Any]

_UNITS = {"_um3": "um^3", "_um2": "um^2", "_um": "um", "_deg": "degree"}
"""Units of a table's columns, by how their names end."""


def analyse(
    grain: Grain,
    folder: Path,
    *,
    threshold_deg: float | None = None,
    min_voxels: int | None = None,
    burgers_nm: float | None = None,
) -> tuple[str, list[Path]]:
    """Find the cells of a grain, and what its orientations tell of dislocations.

    Returns what was found, in a few lines, and the files that were written.
    """
    require_writable(folder)
    cells = find_cells(grain, threshold_deg, min_voxels=min_voxels)
    maps: dict[str, tuple[Volume3D, str, str]] = {
        "cells": (cells.labels, "", "number of the cell"),
        "misorientation": (
            kernel_average_misorientation(grain.orientation), "degree",
            "mean misorientation of the neighbours",
        ),
    }  # fmt: skip
    if grain.orientation_error is not None:
        error = kernel_average_error(grain.orientation, grain.orientation_error)
        maps["misorientation_error"] = (error, "degree", "its standard error")
    figures = {
        "cells": cells_figure(grain, cells),
        "misorientation": misorientation_figure(grain, cells),
    }
    try:
        found = dislocation_density(grain, burgers_nm)
    except ParameterError as missing:
        dislocations = f"dislocations: {missing}"
    else:
        maps["dislocations"] = (found.density_per_m2, "1/m^2", "density of dislocations, at least")
        maps["dislocations_error"] = (found.error_per_m2, "1/m^2", "its standard error")
        figures["dislocations"] = dislocations_figure(grain, found.density_per_m2)
        dislocations = _of_dislocations(grain, cells, found)
    make_folder(folder)
    paths = [_write_table(cells.table, folder / "cells.csv")]
    paths.append(_write_table(cells.boundaries, folder / "boundaries.csv"))
    said = {"threshold_deg": threshold_deg, "min_voxels": min_voxels, "burgers_nm": burgers_nm}
    paths.append(_write_hdf5(grain, cells, maps, said, folder / "analysis.h5"))
    paths += [_write_figure(figure, folder / f"{name}.png") for name, figure in figures.items()]
    summary = "\n".join([*_of_cells(grain, cells), dislocations, ""])
    with complete_or_absent(folder / "summary.txt") as temporary:
        temporary.write_text(summary, "utf-8")
    return summary, [*paths, folder / "summary.txt"]


def _of_cells(grain: Grain, cells: Cells) -> list[str]:
    table, parting = cells.table, cells.boundaries
    how = "chosen by the data" if cells.threshold_deg is None else f"{cells.threshold_deg:g}°"
    spread = np.average(table["spread_deg"], weights=table["voxels"])
    share = cells.volume_error
    known = f"± {100 * share:.2g} % (median)" if np.isfinite(share) else "errors not known"
    lines = [
        f"{len(cells)} cells (threshold: {how}) in {grain.volume_um3:.4g} µm³",
        f"volumes: {table['volume_um3'].min():.3g} to {table['volume_um3'].max():.3g} µm³, "
        f"{known}; spread within cells: {1e3 * spread:.2f} mdeg",
    ]
    if parting.size:
        angles = 1e3 * parting["misorientation_deg"]
        error = 1e3 * np.median(parting["misorientation_error_deg"])
        wrong = f" ± {error:.1f}" if np.isfinite(error) else ""
        lines.append(
            f"{parting.size} boundaries of {angles.min():.1f} to {angles.max():.1f} mdeg, "
            f"median {np.median(angles):.1f}{wrong} (turns about G are not seen: at least)"
        )
    lines += [f"doubt: {doubt}" for doubt in cells.doubts]
    average = kernel_average_misorientation(grain.orientation)[grain.mask]
    return [*lines, f"misorientation of neighbours: median {1e3 * np.nanmedian(average):.2f} mdeg"]


def _of_dislocations(grain: Grain, cells: Cells, found: DislocationDensity) -> str:
    """The density inside the cells: steps at boundaries count for walls, not for densities."""
    density, noise = found.density_per_m2, found.noise_per_m2
    inside = grain.mask & ~cells.boundary_voxels() & np.isfinite(density)
    if not inside.any():
        return "dislocations: no voxel is inside a cell"
    text = f"dislocations inside cells: at least {np.median(density[inside]):.2g} per m² (median)"
    if not np.isfinite(noise[inside]).any():
        return f"{text}; how much of it is noise is not known"
    return f"{text}; noise alone would show about {np.nanmedian(noise[inside]):.2g}"


def _write_table(table: NDArray[np.void], path: Path) -> Path:
    names = table.dtype.names or ()
    formats = ["%d" if table[name].dtype.kind == "i" else "%.7g" for name in names]
    with complete_or_absent(path) as temporary:
        np.savetxt(temporary, table, formats, ",", header=",".join(names), comments="")
    return path


def _write_figure(figure: Figure, path: Path) -> Path:
    with complete_or_absent(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


def _write_hdf5(
    grain: Grain,
    cells: Cells,
    maps: dict[str, tuple[Volume3D, str, str]],
    said: dict[str, Any],
    path: Path,
) -> Path:
    """Write maps and tables as NeXus, each with its errors where they are there."""
    middle = int(np.argmax(grain.mask.sum(axis=(1, 2))))
    with create_own(path) as file:
        entry = write_entry(file, "analysis of a grain", "cells_middle")
        doubts = cells.doubts
        file.attrs.create("doubts", doubts, (len(doubts),), h5py.string_dtype())
        axes = file.create_group("axes")
        for number, axis in enumerate("xyz"):
            axes[axis] = grain.volume.axis_um(number)
            axes[axis].attrs["units"] = "um"
        for name, (values, unit, about) in maps.items():
            of = name.removesuffix("_error")
            data = entry[of] if of in entry else volume_data(entry, axes, of, of, middle)
            stored = data.create_dataset(
                of if of == name else f"{of}_errors", data=values, compression="gzip", shuffle=True
            )
            stored.attrs["units"], stored.attrs["long_name"] = unit, f"{about} ({unit})"
            stored.attrs["interpretation"] = "image"
        shown = new_group(entry, "cells_middle", "NXdata", signal="cells", axes=["y", "z"])
        shown["title"] = f"cells at x = {axes['x'][middle]:.4g} µm; every slice is in cells"
        shown["cells"], shown["y"], shown["z"] = cells.labels[middle], axes["y"], axes["z"]
        _write_columns(entry, "table_of_cells", cells.table, ["cell"], "volume_um3")
        pair = ["first", "second"]
        _write_columns(entry, "table_of_boundaries", cells.boundaries, pair, "misorientation_deg")
        write_process(entry, {key: value for key, value in said.items() if value is not None})
    return path


def _write_columns(
    entry: h5py.Group, name: str, table: Table, rows: list[str], signal: str
) -> None:
    """Write a table as an NXdata: a field for each column, one of them the signal.

    `rows`: the columns that say what a row is of; where it is one, it is the axis.
    """
    data = new_group(entry, name, "NXdata", signal=signal, axes=rows if len(rows) == 1 else ["."])
    for column in table.dtype.names or ():
        data[column] = table[column]
        unit = next((u for end, u in _UNITS.items() if column.endswith(end)), "")
        data[column].attrs["units"] = unit
        data[column].attrs["long_name"] = column.replace("_", " ")
    value, unit = signal.rsplit("_", 1)
    data[f"{signal}_errors"] = data[f"{value}_error_{unit}"]
