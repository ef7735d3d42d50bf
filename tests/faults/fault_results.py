"""Faults of scan.h5 and grain.h5."""

import os
import shutil

import h5py
import numpy as np
from fault_arguments import reconstruct
from fault_catalogue import fault
from fault_scans import set_attribute, set_dataset

HEADING = "scan.h5 and grain.h5"


def export(scan):
    return ["export", str(scan / "out" / "grain.h5"), str(scan / "grain.vti")]


@fault("scan.h5 is of a newer version", "scan.h5: is of version 99, and recon3d …", scan="cleaned")
def newer_scan(scan):
    set_attribute(scan / "out" / "scan.h5", "/", "_format_version", 99)
    return reconstruct(scan)


@fault("it was not written to its end", "scan.h5: was not written to its end", scan="cleaned")
def half_scan(scan):
    set_attribute(scan / "out" / "scan.h5", "/", "_complete", False)
    return reconstruct(scan)


@fault("it was cut short", "scan.h5: cannot be read as HDF5 (damaged, or a copy …", scan="cleaned")
def cut_scan(scan):
    path = scan / "out" / "scan.h5"
    os.truncate(path, path.stat().st_size // 2)
    return reconstruct(scan)


@fault("it is a grain", "scan.h5: is no cleaned scan", scan="cleaned")
def grain_for_scan(scan):
    shutil.copy(scan / "out" / "grain.h5", scan / "out" / "scan.h5")
    return reconstruct(scan)


@fault("it lacks a part", "scan.h5: lacks a part of a cleaned scan: …'valid'", scan="cleaned")
def lacks_part(scan):
    with h5py.File(scan / "out" / "scan.h5", "r+") as file:
        del file["entry/data/valid"]
    return reconstruct(scan)


@fault("its parts do not fit", "scan.h5: its motor chi has the shape (3,)", scan="cleaned")
def misfit(scan):
    set_dataset(scan / "out" / "scan.h5", "entry/motors/chi", np.zeros(3))
    return reconstruct(scan)


@fault("its numbers are not finite", "scan.h5: its omega holds numbers that", scan="cleaned")
def not_finite(scan):
    set_dataset(scan / "out" / "scan.h5", "entry/data/omega", np.full(8, np.nan))
    return reconstruct(scan)


@fault(
    "its frames have changed",
    "scan.h5: the frames of projection 0 are not those that were written: the file is damaged",
    scan="cleaned",
)
def changed(scan):
    with h5py.File(scan / "out" / "scan.h5", "r+") as file:
        file["entry/data/frames"][0] *= 2
    return reconstruct(scan)


@fault("one projection has signal", "1 of 8 projections have signal, and a grain…", scan="cleaned")
def one_lit(scan):
    with h5py.File(scan / "out" / "scan.h5", "r+") as file:
        file["entry/data/integrated"][1:] = 0
    return reconstruct(scan)


@fault("grain.h5 is of a newer version", "grain.h5: is of version 99, and recon3d", scan="cleaned")
def newer_grain(scan):
    set_attribute(scan / "out" / "grain.h5", "/", "_format_version", 99)
    return export(scan)


@fault("it is a scan", "scan.h5: is no grain file", scan="cleaned")
def scan_for_grain(scan):
    return ["export", str(scan / "out" / "scan.h5"), str(scan / "grain.vti")]


@fault("it lacks an array", "grain.h5: lacks /grain/mask, which every grain has", scan="cleaned")
def lacks_array(scan):
    with h5py.File(scan / "out" / "grain.h5", "r+") as file:
        del file["grain/mask"]
    return export(scan)


@fault("its arrays do not fit", "grain.h5: the grain's mask has shape (3,)", scan="cleaned")
def odd_array(scan):
    set_dataset(scan / "out" / "grain.h5", "grain/mask", np.zeros(3, bool))
    return export(scan)


@fault("its attributes are damaged", "grain.h5: a part of it is not what a grain…", scan="cleaned")
def odd_attribute(scan):
    set_attribute(scan / "out" / "grain.h5", "/", "_nested", "{")
    return export(scan)
