"""Faults of calls, folders and .ini files."""

import numpy as np
from fault_catalogue import WARNS, fault
from fault_scans import getdata, set_ini

HEADING = "Calls, folders and .ini files"


@fault("arguments are missing", "arguments are required: …BINTH", does="stops the call")
def too_few(scan):
    return getdata(scan)[:5]


@fault("there is no such folder", "the folder …nowhere does not exist (…)")
def no_folder(scan):
    return getdata(scan, datadir=str(scan / "nowhere"))


@fault("there are no such frames", "no file other_*.edf in …: it has others, such as topotomo_0")
def no_frames(scan):
    return getdata(scan, dataname="other_")


@fault(
    "a folder is a file",
    "…topotomo_0000.edf is a file, neither HDF5 nor a folder of EDF files: give the folder of "
    "the EDF files, and how their names begin",
)
def file_for_folder(scan):
    return getdata(scan, datadir=str(scan / "topotomo_0000.edf"))


for _changes, _message in (
    ({"poi": "30,16"}, "the ROI covers columns 12 to 47 and rows 0 to 31, but the frame has"),
    ({"poi": "-5,16"}, "the ROI covers columns -23 to 12"),
    ({"poi": "18"}, "POI is '18': expected 2 whole numbers, in pixels"),
    ({"imgsize": "0,0"}, "a region of 0 x 0 pixels is too small to clean"),
    ({"phi0": "north"}, "PHI0 is 'north': expected a number"),
    ({"phi0": "1e9"}, "PHI0 is '1e9': expected a number from -360 to 360, in degrees"),
    ({"phi0": "0"}, "the frames fill no grid of settings … With phi0 = -3.5…"),
    ({"framebg": "1.5"}, "FRAMEBG is '1.5': expected a whole number"),
    ({"framebg": "16"}, "framebg is 16, but a region of 32 x 36 pixels (rows x columns)"),
    ({"binth": "nan"}, "BINTH is 'nan': expected a number of 0 or more, in counts"),
    ({"binth": "1e9"}, "all frames are dark after cleaning: … as it was read, and binth is 1e+09"),
    ({"numangsteps": "five"}, "NUMANGSTEPS is 'five': expected one whole number or 2 whole"),
    ({"numangsteps": "5,0"}, "NUMANGSTEPS is '5,0': expected …whole numbers of 1 or more"),
    ({"angsteps": "1e9"}, "ANGSTEPS is '1e9': expected one number or 2 numbers from -360 to"),
    ({"datadir": "None"}, "the key 'datadir' is missing: give the folder or file of frames"),
):
    _name, _text = next(iter(_changes.items()))

    @fault(f"{_name.upper()} is `{_text}`", _message)
    def wrong_value(scan, changes=_changes):
        return getdata(scan, **changes)


for _options, _message in (
    (("--motors", "id99"), "--motors id99: 'id99' is no known beamline, expected auto"),
    (("--tilt-azimuth", "45"), "tilt_azimuth is '45': expected 0 or 90"),
    (("--tilt-azimuth", "90"), "With tilt_azimuth 0 they do form a grid"),
    (("--entries", "3"), "entries is '3', but … is no HDF5 file: it has none"),
    (("--close-radius", "17"), "close_radius is 17: a disk of that radius does not fit into the"),
    (("--close-radius", "1000"), "close_radius is '1000': expected a whole number from 0 to 50"),
    (("--min-region", "-3"), "min_region is '-3': expected a whole number from 0 to"),
):

    @fault(f"`{' '.join(_options)}` on this scan", _message)
    def wrong_option(scan, options=_options):
        return getdata(scan, *options)


@fault("an output folder is a file", "…taken cannot be written: there is a file of that name")
def taken(scan):
    (scan.parent / "taken").write_text("mine")
    return getdata(scan, outputdirname="taken")


@fault("an output folder cannot be made", "cannot be written: a part of the path is a file")
def below_file(scan):
    return getdata(scan, outputpath=str(scan / "topotomo_0000.edf"))


@fault("a flat field holds Python objects", "flat.npy cannot be read as an image: it is no NumPy")
def objects(scan):
    np.save(scan / "flat.npy", np.array([{}], object), allow_pickle=True)
    return getdata(scan, "--flat-field", str(scan / "flat.npy"))


@fault("every pixel is marked as bad", "the bad-pixel mask marks every pixel of the region as bad")
def all_bad(scan):
    np.save(scan / "bad.npy", np.ones((32, 36)))
    return getdata(scan, "--bad-pixels", str(scan / "bad.npy"))


@fault("paths hold spaces and accents", "", does=f"{WARNS} nothing: they are as good as others")
def accents(scan):
    return getdata(scan.rename(scan.parent / "scan é 中 1"), outputdirname="ré sultats")


def reconstruct(scan, **changes):
    return ["reconstruct", str(set_ini(scan / "experiment.ini", **changes)), "--quiet"]


for _key, _value, _message in (
    ("hkl", "[2, 0]", "hkl is '[2, 0]': expected 3 whole numbers"),
    ("M", "__import__('os').abort()", "M is \"__import__('os').abort()\": expected a number"),
    ("M", "1e400", "M is '1e400': expected a number above 0, in pixels per µm"),
    ("unit_cell", "[4, 4, 4, 10, 90, 120]", "unit_cell angles [10.0, 90.0, 120.0] degrees"),
    ("wavelength", "17", "wavelength 17 Å is longer than 2d = 4.0495 Å"),
    ("grain_steps", "[99999, 99999, 99999]", "voxels are more than any computer can hold"),
    ("grain_dim", "[nan, 1, 1]", "grain_dim is '[nan, 1, 1]': expected 3 numbers above 0, in µm"),
    ("method", "magic", "method is 'magic': expected iterative or backprojection"),
    ("rocking_width", "1e-300", "rocking_width is '1e-300': expected a number of 1e-06 or more"),
    ("xyz_up", "[1, 0, 0]", "xyz_up is '[1, 0, 0]': expected 0: such a displacement"),
    ("path", "nowhere", "path: there is no folder …nowhere: expected what getdata wrote"),
    ("path", ".", "path: there is no scan.h5 in the folder"),
    ("grain_steps", "1e308", "grain_steps is '1e308': expected one whole number or 3"),
    ("unit_cell", "1e-200 1e-200 1e-200 90 90 90", "must be positive lengths in Å, 0.01 to"),
    ("tv_weight", "1e308", "tv_weight is '1e308': expected a number from 0 to 100"),
):

    @fault(f"the .ini says `{_key} {_value}`", f"…{_message}", scan="cleaned")
    def wrong_key(scan, key=_key, value=_value):
        return reconstruct(scan, **{key: value})


for _key, _value, _message in (
    ("turning_center", "10, 0", "turning_center: μ_c = 10° lies far outside the scan"),
    ("rocking_width", "1e-6", "rocking_width is 1e-06°: expected a standard deviation of"),
    ("rolling_width", "1e30", "rolling_width is 1e+30°: expected a standard deviation of"),
    ("bin_size", "1e-6", "bin_size is 1e-06°: the …° of the scan would make"),
    ("bin_size", "100", "bin_size is 100°, but the scan covers only"),
    ("wavelength", "1e-6", "hkl (2, 0, 0) at wavelength 1e-06 Å has a Bragg angle of"),
    ("M", "1e-300", "at M = 1e-300 pixels per µm is …e-300 pixels on the detector"),
    ("grain_dim", "[1e9, 1, 1]", "makes voxels of …pixels, more than the image has"),
    ("grain_pos", "[1e9, 0, 0]", "no voxel of the volume is lit"),
    ("rotation_center", "1e9", "no voxel of the volume is lit"),
    ("omega_exclude", "1000", "omega_exclude 1000: no projection was taken there"),
):

    @fault(f"the .ini says `{_key} {_value}` of this scan", f"…{_message}", scan="cleaned")
    def far_outside(scan, key=_key, value=_value):
        return reconstruct(scan, **{key: value})


@fault("the .ini lacks keys", "experiment.ini: the keys 'hkl', 'M' are missing", scan="cleaned")
def lacks_keys(scan):
    return reconstruct(scan, hkl=None, M=None)


@fault(
    "the .ini has an unknown key",
    "the key 'rotation_centre' is not known and is ignored (did you mean 'rotation_center'?)",
    scan="cleaned",
    does=WARNS,
)
def unknown_key(scan):
    return reconstruct(scan, rotation_centre="17")


@fault("the .ini is no text", "experiment.ini: is not a text file", scan="cleaned")
def binary(scan):
    (scan / "experiment.ini").write_bytes(b"\xff\xfe\x00" * 99)
    return ["reconstruct", str(scan / "experiment.ini"), "--quiet"]
