"""Reconstruct on two engines that Slurm starts, and in this process, and compare.

python tests/slurm/reconstruct.py SCAN.h5 FILE.ini
"""

from __future__ import annotations

import sys

import numpy as np

import recon3d as r3


def main(scan: str, ini: str) -> None:
    store, experiment = r3.open_store(scan), r3.Experiment.from_ini(ini)
    experiment = experiment.with_settings(split_half=False, iterations=3)
    with r3.Cluster(2, profile="slurm", controller_ip="127.0.0.1") as cluster:
        print(cluster.info())
        shared = r3.reconstruct(store, experiment, client=cluster.client)
    alone = r3.reconstruct(store, experiment)
    print(f"largest difference {np.abs(shared.occupancy - alone.occupancy).max():.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
