"""Faults of EDF frames and of the scan that they make."""

import gzip
import os
import shutil

import fabio
import numpy as np
from fault_catalogue import WARNS, fault
from fault_scans import (
    COLS,
    IMAGE_BYTES,
    ROWS,
    cut,
    frame,
    frames,
    getdata,
    image,
    set_image,
    set_key,
    set_motor,
)

HEADING = "EDF frames"
ONE = "1 of 120 files in … are damaged: topotomo_0037.edf "
LEFT_OUT = ("topotomo_0037.edf",)


@fault(
    "a file ends too early",
    ONE + "is truncated: 5276 bytes, where the header asks for 5376 (32 x 36 pixels of uint16)",
    left_out=LEFT_OUT,
)
def truncated(scan):
    cut(frame(scan), 100)
    return getdata(scan)


@fault(
    "several are damaged, each in its way",
    "3 of 120 files in … are damaged: topotomo_0003.edf is empty; topotomo_0037.edf is truncated:"
    "…; topotomo_0101.edf is no EDF file",
    left_out=("topotomo_0003.edf", "topotomo_0037.edf", "topotomo_0101.edf"),
)
def several(scan):
    frame(scan, 3).write_bytes(b"")
    cut(frame(scan), 100)
    frame(scan, 101).write_text("no image")
    return getdata(scan)


@fault(
    "a file ends within its header",
    ONE + "has a header without an end, so it is truncated or no EDF file",
    left_out=LEFT_OUT,
)
def cut_header(scan):
    frame(scan).write_bytes(frame(scan).read_bytes()[:700])
    return getdata(scan)


@fault("a file is empty", ONE + "is empty", left_out=LEFT_OUT)
def empty(scan):
    frame(scan).write_bytes(b"")
    return getdata(scan)


@fault(
    "every file is empty",
    "120 of 120 files in … are damaged: topotomo_0000.edf, topotomo_0001.edf, …",
)
def all_empty(scan):
    for path in frames(scan):
        path.write_bytes(b"")
    return getdata(scan, "--skip-damaged")


@fault(
    "a file holds something else",
    ONE + "is no EDF file: it does not start with a header in { }",
    left_out=LEFT_OUT,
)
def garbage(scan):
    frame(scan).write_bytes(np.random.default_rng(0).bytes(5376))
    return getdata(scan)


@fault("a file cannot be read", ONE + "cannot be read (Is a directory)", left_out=LEFT_OUT)
def unreadable(scan):
    frame(scan).unlink()
    frame(scan).mkdir()
    return getdata(scan)


@fault(
    "a link leads nowhere", ONE + "is a link to nowhere.edf, which is not there", left_out=LEFT_OUT
)
def dangling(scan):
    frame(scan).unlink()
    frame(scan).symlink_to("nowhere.edf")
    return getdata(scan)


@fault("a pipe stands in place of a file", ONE + "cannot be read (…)", left_out=LEFT_OUT)
def pipe(scan):
    frame(scan).unlink()
    os.mkfifo(frame(scan))
    return getdata(scan)


@fault(
    "a packed file is damaged",
    "topotomo_0037.edf.gz cannot be unpacked, it is truncated or damaged (…)",
    left_out=("topotomo_0037.edf.gz",),
)
def packed(scan):
    content = gzip.compress(frame(scan).read_bytes())
    frame(scan).with_suffix(".edf.gz").write_bytes(content[:-30])
    frame(scan).unlink()
    return getdata(scan)


@fault("stray bytes follow the image", "", does=f"{WARNS} nothing: they are not read")
def stray(scan):
    with frame(scan).open("ab") as file:
        file.write(b"stray" * 30)
    return getdata(scan)


@fault("a file holds two frames", ONE + "holds more than one frame", left_out=LEFT_OUT)
def two_frames(scan):
    frame(scan).write_bytes(2 * frame(scan).read_bytes())
    return getdata(scan)


@fault(
    "a frame is of another type",
    ONE + "holds 32 x 36 pixels of int16, where most files hold 32 x 36 pixels of uint16",
    left_out=LEFT_OUT,
)
def other_type(scan):
    set_key(frame(scan), "DataType", "SignedShort")
    return getdata(scan)


@fault(
    "a type is not known", ONE + "has DataType = 'Banana', which is not known", left_out=LEFT_OUT
)
def unknown_type(scan):
    set_key(frame(scan), "DataType", "Banana")
    return getdata(scan)


@fault(
    "a frame is of another shape",
    ONE + "holds 36 x 32 pixels of uint16, where most files hold 32 x 36 pixels of uint16",
    left_out=LEFT_OUT,
)
def other_shape(scan):
    set_key(frame(scan), "Dim_1", str(ROWS))
    set_key(frame(scan), "Dim_2", str(COLS))
    return getdata(scan)


@fault(
    "a byte order is not known",
    ONE + "has ByteOrder = 'Middle': expected LowByteFirst or HighByteFirst",
    left_out=LEFT_OUT,
)
def odd_order(scan):
    set_key(frame(scan), "ByteOrder", "Middle")
    return getdata(scan)


@fault(
    "a header stands in place of an image",
    ONE + "holds a second header in place of its image",
    left_out=LEFT_OUT,
)
def header_twice(scan):
    content = frame(scan).read_bytes()
    frame(scan).write_bytes(content[:-IMAGE_BYTES] + content)
    return getdata(scan)


@fault("a size is no number", ONE + "has Dim_1 = '-36', no number of pixels", left_out=LEFT_OUT)
def odd_size(scan):
    set_key(frame(scan), "Dim_1", "-36")
    return getdata(scan)


@fault(
    "a header names the wrong byte order",
    ONE + "seems to hold its bytes in the other order than ByteOrder = HighByteFirst in its "
    "header says",
    left_out=LEFT_OUT,
)
def swapped(scan):
    set_key(frame(scan), "ByteOrder", "HighByteFirst")
    return getdata(scan)


@fault("all headers do", "120 of 120 files in … seems to hold its bytes in the other order…")
def all_swapped(scan):
    for path in frames(scan):
        set_key(path, "ByteOrder", "HighByteFirst")
    return getdata(scan)


@fault(
    "a file lacks a motor",
    ONE + "has no motor 'diffry' (omega), which other files have",
    left_out=LEFT_OUT,
)
def lacks_motor(scan):
    raw = frame(scan).read_bytes()
    frame(scan).write_bytes(raw.replace(b" diffry ", b" diffrx ", 1))
    return getdata(scan)


@fault(
    "all files lack a motor",
    "there is no motor 'diffry' (omega) in the files (did you mean 'diffty'?). Name the "
    "motors, as in --motors id06,omega=...",
)
def all_lack_motor(scan):
    for path in frames(scan):
        path.write_bytes(path.read_bytes().replace(b" diffry ", b" diffrx ", 1))
    return getdata(scan)


for _reading in ("nan", "ERR", "1e300"):

    @fault(
        f"a motor reads `{_reading}`",
        ONE + f"reads '{_reading}' for the motor 'diffrz' (base_tilt)",
        left_out=LEFT_OUT,
    )
    def odd_reading(scan, reading=_reading):
        set_motor(frame(scan), "diffrz", reading)
        return getdata(scan)


@fault(
    "counters read `-nan` in some files",
    "the ring current is not recorded for 20 of 120 frames (first …topotomo_0020.edf): all "
    "projections are normalised to equal totals instead",
    does=WARNS,
)
def some_currents(scan):
    for number in range(20, 40):
        set_key(frame(scan, number), "counter_pos", "1 -nan 0 0 0 0 0 0 0 0 -nan")
    return getdata(scan)


@fault(
    "a ring current is asked for and not there",
    "the ring current is not recorded for 1 of 120 frames (first …topotomo_0037.edf): expected a "
    "positive number for each",
)
def no_current(scan):
    set_key(frame(scan), "counter_pos", "1 -nan 0 0 0 0 0 0 0 0 -nan")
    return getdata(scan, "--normalize", "current")


@fault(
    "a frame is missing",
    "1 of 120 frames are missing: omega = 45…, mu = 10.37…, gamma = …",
    does=WARNS,
)
def missing(scan):
    frame(scan).unlink()
    return getdata(scan)


@fault(
    "a frame is there twice",
    "…topotomo_0037.edf and topotomo_0120.edf were both taken at omega = 45…: copies or a repeat "
    "(--skip-damaged uses topotomo_0120.edf, which is better or later), two scans mixed",
    left_out=("topotomo_0037.edf",),
)
def doubled(scan):
    shutil.copy(frame(scan), frame(scan, 120))
    return getdata(scan)


@fault("a scan stopped half way", "7 of 75 frames are missing: omega = 90…", does=WARNS)
def stopped(scan):
    for number in range(68, 120):
        frame(scan, number).unlink()
    return getdata(scan)


@fault("there is one projection only", "the scan has one projection only: …", does=WARNS)
def one_projection(scan):
    for number in range(15, 120):
        frame(scan, number).unlink()
    return getdata(scan)


@fault("no projection has two frames", "no projection has more than one frame (8 projections…")
def lone_frames(scan):
    for number in range(120):
        if number % 15 != 7:
            frame(scan, number).unlink()
    return getdata(scan)


@fault(
    "one projection has a single frame",
    "…topotomo_0105.edf is the only frame of its projection: nothing rocked",
    does=f"{WARNS}: it is left out",
)
def one_lone_frame(scan):
    for number in range(106, 120):
        frame(scan, number).unlink()
    return getdata(scan)


@fault("steps are not even", "the steps of omega are uneven, 22.5 to 45: every frame…", does=WARNS)
def uneven(scan):
    for number in range(45, 60):
        frame(scan, number).unlink()
    return getdata(scan, angsteps="-", numangsteps="-")


@fault(
    "μ and γ are swapped in the call",
    "NUMANGSTEPS is 3, but the motors took 5 settings of mu: the motors are used",
    does=WARNS,
)
def swapped_settings(scan):
    return getdata(scan, numangsteps="3,5")


@fault(
    "all frames are dark",
    "all frames are dark after cleaning: … the brightest pixel has 0 counts as it was read…",
)
def all_dark(scan):
    for path in frames(scan):
        set_image(path, np.zeros((ROWS, COLS), "<u2"))
    return getdata(scan)


@fault(
    "frames are saturated",
    "frames are saturated: … of their pixels are at the detector's largest count, the first of "
    "them in …: their intensity is cut off",
    does=WARNS,
)
def saturated(scan):
    for path in frames(scan):
        counts = image(path).copy()
        counts[counts > 400] = 65535
        set_image(path, counts)
    return getdata(scan)


@fault(
    "hot pixels outshine the grain",
    "16 pixels that never change (dead, or stuck): the first at row 5, column 7. They are masked",
    does=WARNS,
)
def hot(scan):
    for path in frames(scan):
        counts = image(path).copy()
        counts[5:28:6, 7:30:7] = 60_000
        set_image(path, counts)
    return getdata(scan)


@fault(
    "negative counts have wrapped around",
    "counts from 60000 on, in 8 projections, are taken for negative ones that wrapped around in "
    "16 bits (…): 65536 is subtracted",
    does=WARNS,
)
def wrapped(scan):
    for path in frames(scan):
        set_image(path, (image(path).astype(int) - 104).astype("<u2"))
    return getdata(scan)


@fault(
    "peaks above 65535 began again at 0",
    "counts, in the middle of the brightest peaks, passed 65535 and began again at 0, as 16 bits "
    "do: the peaks are dark there; expose shorter",
    does=WARNS,
)
def past_the_top(scan):
    brightest = max(int(np.sort(image(path), axis=None)[-30]) for path in frames(scan))
    for path in frames(scan):
        light = np.maximum(image(path).astype(int) - 110, 0)
        set_image(path, (100 + light * 75_000 // brightest).astype("<u2"))
    return getdata(scan)


@fault("counts are negative", "", does=f"{WARNS} nothing: arithmetic is signed")
def negative(scan):
    for path in frames(scan):
        set_image(path, (image(path).astype(int) - 104).astype("<i2"), "SignedShort")
    return getdata(scan)


@fault(
    "a count is not a number",
    "1 of 120 frames are damaged: …topotomo_0037.edf holds 1 counts that are not finite, or beyond "
    "1e+30",
    left_out=LEFT_OUT,
)
def nan_count(scan):
    for path in frames(scan):
        set_image(path, image(path).astype("<f4"), "FloatValue")
    raw = bytearray(frame(scan).read_bytes())
    raw[-400:-396] = np.float32(np.nan).tobytes()
    frame(scan).write_bytes(raw)
    return getdata(scan)


@fault(
    "a background has another shape",
    "the background has the shape (5, 6): expected that of a whole frame, (32, 36), or of the "
    "region of interest",
)
def background_shape(scan):
    folder = scan / "other"
    folder.mkdir()
    fabio.edfimage.EdfImage(np.ones((5, 6), "u2")).write(str(folder / "dark_0000.edf"))
    return getdata(scan, bgdir=str(folder), bgname="dark_")


@fault("a background frame is damaged", "1 of 2 files in … are damaged: dark_0000.edf is truncated")
def background_damage(scan):
    cut(scan / "background" / "dark_0000.edf", 3)
    return getdata(scan, bgdir=str(scan / "background"), bgname="dark_")
