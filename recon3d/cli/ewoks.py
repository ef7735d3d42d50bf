"""Cleaning and reconstruction as tasks of ewoks, ESRF's workflow system: `recon3d[ewoks]`."""

from __future__ import annotations

from pathlib import Path

from ewokscore import Task

from recon3d.cleaning.getdata import getdata
from recon3d.config.experiment import Experiment
from recon3d.config.getdata import GETDATA_KEYS, GetData
from recon3d.files.store import open_store
from recon3d.plot.grain.quality import write_results
from recon3d.reconstruction.run import reconstruct


class CleanScan(
    Task,
    input_names=["datadir"],
    optional_input_names=[key for key in GETDATA_KEYS if key != "datadir"],
    output_names=["scan_file"],
):
    """Clean a scan into scan.h5; the inputs are the keys of `recon3d getdata`, in lower case."""

    def run(self) -> None:
        """Clean it, and give the path of scan.h5."""
        texts = {key: str(value) for key, value in self.get_input_values().items()}
        store = getdata(GetData.from_texts(texts), show_progress=False)
        self.outputs.scan_file = str(store.path)


class ReconstructGrain(
    Task,
    input_names=["scan_file", "ini_file"],
    optional_input_names=["settings"],
    output_names=["grain_file", "doubts"],
):
    """Reconstruct the grain of a scan.h5; `settings` are keys that win over those of the .ini."""

    def run(self) -> None:
        """Reconstruct it beside scan.h5, and give the path of grain.h5 and the doubts."""
        experiment = Experiment.from_ini(self.inputs.ini_file)
        experiment = experiment.with_settings(**self.get_input_value("settings", {}))
        path = Path(self.inputs.scan_file)
        grain = reconstruct(open_store(path), experiment, show_progress=False)
        write_results(grain, path.parent)
        self.outputs.grain_file = str(path.parent / "grain.h5")
        self.outputs.doubts = list(grain.doubts)
