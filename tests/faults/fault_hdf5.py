"""Faults of BLISS HDF5 files."""

import os
import shutil

import h5py
import numpy as np
from fault_catalogue import WARNS, fault
from fault_scans import getdata, set_dataset

HEADING = "HDF5 files"
IMAGE = "3.1/instrument/pco_ff/image"


@fault(
    "a file was cut short",
    "topotomo.h5 cannot be read: it ends too early; was its copy or its writing broken off?",
    scan="bliss",
)
def truncated(scan):
    path = scan / "topotomo.h5"
    os.truncate(path, path.stat().st_size // 2)
    return getdata(scan)


@fault("a file is something else", "topotomo.h5 cannot be read: it is no HDF5 file", scan="bliss")
def no_hdf5(scan):
    (scan / "topotomo.h5").write_bytes(b"junk" * 999)
    return getdata(scan)


@fault(
    "a part of a file is overwritten",
    "topotomo.h5 is damaged: entry …: cannot be read: it may be damaged, or still be written to",
    scan="bliss",
    left_out=("entry",),
)
def overwritten(scan):
    path = scan / "topotomo.h5"
    with h5py.File(path) as file:
        group = h5py.h5o.get_info(file["4.1/measurement"].id).addr
    raw = bytearray(path.read_bytes())
    raw[group : group + 3000] = np.random.default_rng(0).bytes(len(raw[group : group + 3000]))
    path.write_bytes(raw)
    return getdata(scan)


@fault(
    "compressed frames are damaged",
    "2 of 120 frames are damaged: …entry 3.1, frame 4, …entry 3.1, frame 5 cannot be read: its "
    "frames are compressed by a filter that is not known here, or are damaged",
    scan="bliss",
    left_out=("entry 3.1, frame 4", "entry 3.1, frame 5"),
)
def damaged_chunks(scan):
    path = scan / "topotomo.h5"
    with h5py.File(path, "r+") as file:
        pixels = file[IMAGE][()]
        for place in (IMAGE, "3.1/measurement/pco_ff"):
            del file[place]
        stored = file.create_dataset(
            IMAGE, pixels.shape, pixels.dtype, chunks=(1, *pixels.shape[1:]), compression="gzip"
        )
        stored[:] = pixels
        for number in (4, 5):
            stored.id.write_direct_chunk((number, 0, 0), b"no gzip" * 9)
    return getdata(scan)


@fault(
    "external files are lost",
    "topotomo.h5: entry 3.1: the file topotomo_scan0003/pco_ff_0001.h5 is missing (was only the "
    "master file copied, or the folder moved?): 5 of 15 frames, from frame 5 on, are not there",
    scan="external",
    left_out=("entry 3.1, frame 5", "entry 3.1, frame 9"),
)
def lost(scan):
    (scan / "topotomo_scan0003" / "pco_ff_0001.h5").unlink()
    return getdata(scan)


@fault(
    "external files of several entries are lost",
    "entry 3.1: the file topotomo_scan0003/pco_ff_0000.h5 is missing (was only the master file "
    "copied, or the folder moved?) (and 2 more files): 15 of 15 frames, from frame 0 on, are not "
    "there; and entry 5.1",
    scan="external",
    left_out=("entry 3.1, frame 0", "entry 5.1, frame 14"),
)
def lost_entries(scan):
    for number in (3, 5):
        shutil.rmtree(scan / f"topotomo_scan{number:04d}")
    return getdata(scan)


@fault(
    "an external file was cut short",
    "pco_ff_0000.h5 cannot be read: it ends too early",
    scan="external",
    left_out=("entry 3.1, frame 0",),
)
def cut_external(scan):
    path = scan / "topotomo_scan0003" / "pco_ff_0000.h5"
    os.truncate(path, path.stat().st_size - 700)
    return getdata(scan)


@fault(
    "a raw file that frames are in is lost",
    "entry 3.1: the file lost.raw is missing",
    scan="bliss",
    left_out=("entry 3.1, frame 0",),
)
def lost_raw(scan):
    with h5py.File(scan / "topotomo.h5", "r+") as file:
        shape = file[IMAGE].shape
        del file[IMAGE]
        size = 2 * int(np.prod(shape))
        file.create_dataset(IMAGE, shape, "u2", external=[("lost.raw", 0, size)])
    return getdata(scan)


@fault(
    "a link to frames leads nowhere",
    "entry 3.1: the file lost.h5, to which instrument/pco_ff/image points, cannot be opened",
    scan="bliss",
    left_out=("entry 3.1",),
)
def dangling(scan):
    with h5py.File(scan / "topotomo.h5", "r+") as file:
        for place in (IMAGE, "3.1/instrument/pco_ff/data", "3.1/measurement/pco_ff"):
            del file[place]
        file[IMAGE] = h5py.ExternalLink("lost.h5", "/frames")
    return getdata(scan)


@fault(
    "a motor has no reading",
    "entry 3.1: the motor 'omega' (omega) reads 'ERR', no number: was its controller off?",
    scan="bliss",
    left_out=("entry 3.1, frame 0", "entry 3.1, frame 14"),
)
def no_reading(scan):
    with h5py.File(scan / "topotomo.h5", "r+") as file:
        found: list[str] = []
        file["3.1"].visit(lambda name: found.append(name) if name.endswith("/omega") else None)
        for name in found:
            del file[f"3.1/{name}"]
        file["3.1/instrument/positioners/omega"] = b"ERR"
    return getdata(scan)


@fault(
    "a scan did not come to its end",
    "frames are left out: entry 8.1: 8 of 15 frames, from frame 7 on, are not there (7 frames are "
    "used)",
    scan="bliss",
    does=WARNS,
)
def unfinished(scan):
    place = "8.1/instrument/pco_ff/image"
    with h5py.File(scan / "topotomo.h5", "r+") as file:
        pixels = file[place][()]
        del file["8.1/end_reason"], file[place]
        stored = file.create_dataset(
            place, pixels.shape, pixels.dtype, chunks=(1, *pixels.shape[1:])
        )
        stored[:7] = pixels[:7]
    return getdata(scan)


@fault(
    "an entry is there twice",
    "…entry 3.1, frame 0 and topotomo.h5, entry 9.1, frame 0 were both taken at omega = 45…",
    scan="bliss",
    left_out=("entry 3.1, frame 0", "entry 3.1, frame 14"),
)
def doubled(scan):
    with h5py.File(scan / "topotomo.h5", "r+") as file:
        file.copy("3.1", "9.1")
    return getdata(scan)


@fault(
    "no reading of a motor is a number",
    "entry 3.1: the motor 'mu' (base_tilt) has no reading at frame 0",
    scan="bliss",
    left_out=("entry 3.1",),
)
def only_nan(scan):
    set_dataset(scan / "topotomo.h5", "3.1/instrument/mu/data", np.full(15, np.nan))
    return getdata(scan)


@fault("an entry is no group", "entry 9.1: cannot be read: it may be damaged", scan="bliss")
def no_group(scan):
    with h5py.File(scan / "topotomo.h5", "r+") as file:
        file["9.1"] = 3
    return getdata(scan)


@fault("there are no entries", "has no entry 1.1, 2.1, ..., as BLISS writes them", scan="bliss")
def no_entries(scan):
    with h5py.File(scan / "topotomo.h5", "w") as file:
        file["x"] = 1
    return getdata(scan)


@fault("there is no such detector", "has no frames of a detector 'eiger'; it has…", scan="bliss")
def no_detector(scan):
    return getdata(scan, dataname="eiger")


@fault("there are no such entries", "entries 99: …topotomo.h5 has 1.1, 2.1, 3.1", scan="bliss")
def no_such_entries(scan):
    return getdata(scan, "--entries", "99")


@fault("titles are no text", "", scan="bliss", does=f"{WARNS} nothing: they are not needed")
def odd_title(scan):
    set_dataset(scan / "topotomo.h5", "3.1/title", np.arange(5))
    return getdata(scan)
