"""The tasks for ewoks, in a workflow of two as it is written in JSON."""

import pytest

from recon3d.files.grain import Grain
from recon3d.simulate.lesson import simulate_lesson


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ewoks")
    return folder, simulate_lesson(folder / "scan", show_progress=False)


def test_a_scan_goes_through_a_workflow(simulated):
    from ewokscore import execute_graph  # 1 s, which processes of other tests do not take

    folder, (phi0, chi0) = simulated
    graph = {
        "graph": {"id": "grain"},
        "nodes": [
            {
                "id": "clean",
                "task_type": "class",
                "task_identifier": "recon3d.cli.ewoks.CleanScan",
                "default_inputs": [
                    {"name": "datadir", "value": str(folder / "scan")},
                    {"name": "dataname", "value": "topotomo_"},
                    {"name": "outputpath", "value": str(folder)},
                    {"name": "phi0", "value": phi0},
                    {"name": "chi0", "value": chi0},
                    {"name": "arrays", "value": "none"},
                ],
            },
            {
                "id": "reconstruct",
                "task_type": "class",
                "task_identifier": "recon3d.cli.ewoks.ReconstructGrain",
                "default_inputs": [
                    {"name": "ini_file", "value": str(folder / "scan" / "experiment.ini")},
                    {"name": "settings", "value": {"method": "backprojection"}},
                ],
            },
        ],
        "links": [
            {
                "source": "clean",
                "target": "reconstruct",
                "data_mapping": [{"source_output": "scan_file", "target_input": "scan_file"}],
            }
        ],
    }
    found = execute_graph(graph)
    grain = Grain.load(found["grain_file"])
    assert grain.provenance["method"] == "backprojection"
    assert grain.mask.any()
    assert found["doubts"] == list(grain.doubts)
