"""The files that a reconstruction leaves in its folder."""

from __future__ import annotations

from pathlib import Path

from recon3d.files.exports.volumes import write_xdmf
from recon3d.files.grain import Grain
from recon3d.plot.grain.quality import quality_figure
from recon3d.runtime.atomic import complete_or_absent

RESULTS = ("grain.h5", "grain.xdmf", "grain_xdmf.h5", "grain_ang.npy", "quality.png")


def write_results(grain: Grain, folder: Path) -> list[Path]:
    """Write grain.h5, its header for ParaView, grain_ang.npy and, after a fit, quality.png."""
    path = folder / "grain.h5"
    grain.save(path)
    paths = [path, write_xdmf(grain, path), grain.save_arrays(folder)]
    if grain.residual.size:
        with complete_or_absent(folder / "quality.png") as temporary:
            quality_figure(grain).savefig(temporary, dpi=120)
        paths.append(folder / "quality.png")
    return paths
