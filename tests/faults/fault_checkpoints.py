"""Faults of going on from a checkpoint, and of what is in it."""

import os

import h5py
import numpy as np
from fault_catalogue import WARNS, fault
from fault_scans import set_attribute, set_dataset, set_ini

HEADING = "Checkpoints, with --resume"
HALTED = {"scan": "halted"}


def resume(scan, *options, **changes):
    ini = set_ini(scan / "experiment.ini", **changes)
    return ["reconstruct", str(ini), "--quiet", "--resume", *options]


def checkpoint(scan):
    return scan / "out" / "checkpoint.h5"


@fault("all is as it was", "", does=f"{WARNS} nothing: the run goes on", **HALTED)
def whole(scan):
    return resume(scan)


@fault("there is no checkpoint", "", does=f"{WARNS} nothing: the run begins anew", **HALTED)
def none(scan):
    checkpoint(scan).unlink()
    return resume(scan)


for _what, _options, _changes, _message in (
    ("a setting is another", ("--iterations", "5"), {}, "iterations (2, this one has 5)"),
    ("a width is another", (), {"rocking_width": "0.02"}, "rocking_width_deg (None, this"),
    ("the volume is another", (), {"grain_steps": "14"}, "shape ((12, 12, 12), this one"),
    ("the wavelength is another", (), {"wavelength": "0.73"}, "wavelength_angstrom (0.7293"),
):

    @fault(_what, f"checkpoint.h5: is of a run with another {_message}", **HALTED)
    def another(scan, options=_options, changes=_changes):
        return resume(scan, *options, **changes)


@fault(
    "the scan is another",
    "checkpoint.h5: is of a run with another scan (…): give the same, or start anew without",
    **HALTED,
)
def another_scan(scan):
    with h5py.File(scan / "out" / "scan.h5", "r+") as file:
        file["entry/data/integrated"][2] *= 1.000001
    return resume(scan)


@fault(
    "recon3d is of another version",
    "checkpoint.h5: is of a run with another version (0.0.0, this one has …): give the same",
    **HALTED,
)
def another_version(scan):
    set_attribute(checkpoint(scan), "known", "version", "0.0.0")
    return resume(scan)


@fault("its format is newer", "checkpoint.h5: is of version 99, and recon3d …", **HALTED)
def newer_format(scan):
    set_attribute(checkpoint(scan), "/", "_format_version", 99)
    return resume(scan)


@fault("it was cut short", "checkpoint.h5: cannot be read as HDF5 (damaged, or a copy…", **HALTED)
def cut(scan):
    os.truncate(checkpoint(scan), checkpoint(scan).stat().st_size // 2)
    return resume(scan)


@fault("it is empty", "checkpoint.h5: cannot be read as HDF5 (…): …anew without", **HALTED)
def empty(scan):
    checkpoint(scan).write_bytes(b"")
    return resume(scan)


@fault("it is something else", "checkpoint.h5: is no checkpoint (…anew without", **HALTED)
def something_else(scan):
    checkpoint(scan).write_bytes((scan / "out" / "scan.h5").read_bytes())
    return resume(scan)


@fault("it lacks a part", "checkpoint.h5: lacks a part of a checkpoint: …drift_pix", **HALTED)
def lacks_part(scan):
    with h5py.File(checkpoint(scan), "r+") as file:
        del file["model/drift_pix"]
    return resume(scan)


@fault("a part of it does not fit", "checkpoint.h5: is not of this scan (start anew", **HALTED)
def misfit(scan):
    set_dataset(checkpoint(scan), "model/drift_pix", np.zeros((3, 2)))
    return resume(scan)


@fault("bytes of it have changed", "checkpoint.h5: cannot be read as HDF5 (damaged…", **HALTED)
def changed(scan):
    with h5py.File(checkpoint(scan)) as file:
        chunk = file["fit/volume"].id.get_chunk_info(0)
    content = bytearray(checkpoint(scan).read_bytes())
    content[chunk.byte_offset + 7] ^= 1
    checkpoint(scan).write_bytes(content)
    return resume(scan)
