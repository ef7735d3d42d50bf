"""The scan that a saved grain was reconstructed from, found again."""

from __future__ import annotations

from pathlib import Path

from recon3d.errors import ParameterError
from recon3d.experiment import Experiment
from recon3d.ini_keys import known_keys
from recon3d.io.grain import Grain
from recon3d.io.store import open_store
from recon3d.reconstruction.model import ScanModel
from recon3d.reconstruction.reprojection import model_of


def find_model(
    grain: Grain,
    grain_path: Path | None,
    scan: Path | None = None,
    ini: Path | None = None,
) -> ScanModel:
    """Open the scan of a grain, with the model with which it was reconstructed.

    Parameters
    ----------
    grain
        The grain; what it recorded of its run stands in for an .ini file.
    grain_path
        Its file; scan.h5 is looked for beside it.
    scan, ini
        The cleaned scan and the .ini file, where they are not those.

    Raises
    ------
    ParameterError
        No scan is found, or the grain does not record its run. The message says where the
        scan was looked for.
    """
    if scan is None and grain_path is not None:
        scan = grain_path.parent / "scan.h5"
    if scan is None or not scan.is_file():
        where = "nowhere (the grain has no file)" if scan is None else f"at {scan}"
        raise ParameterError(f"no cleaned scan was found: looked for it {where}; --scan names it")
    if grain.provenance.get("frame") == "lab":
        raise ParameterError("a grain at fixed laboratory angles cannot be reprojected")
    return model_of(grain, open_store(scan), experiment_of(grain, ini))


def experiment_of(grain: Grain, ini: Path | None = None) -> Experiment:
    """The experiment of a grain, from an .ini file or from what the grain recorded.

    Parameters
    ----------
    grain
        The grain.
    ini
        The file; None for the grain's own record.

    Raises
    ------
    ParameterError
        The record lacks a key.
    """
    if ini is not None:
        return Experiment.from_ini(ini)
    recorded = {key: str(grain.provenance[key]) for key in known_keys() if key in grain.provenance}
    try:
        return Experiment.from_source({k: v for k, v in recorded.items() if v != "inf"})
    except ParameterError as error:
        raise ParameterError(
            f"the grain's record of its run: {error}; --ini names a file"
        ) from None
