"""EDF files as they occur at beamlines: every odd one is read like a plain one, or refused."""

from __future__ import annotations

import bz2
import gzip
import warnings
import zlib
from pathlib import Path

import fabio
import numpy as np
import pytest
from id06_folders import frame, grid, mosaicity, write_edf

import recon3d as r3
from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.readers.edf.folder import EdfFolder, mean_frame, natural
from recon3d.readers.open import read_image
from recon3d.readers.source import Roi

ROCKING = grid(diffry=[0.0, 10.0], diffrz=[-0.1, 0.0, 0.1])


def open_quietly(folder, prefix="topo_", **options):
    return EdfFolder.open(folder, prefix, show_progress=False, **options)


def header_of(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: content.index(b"}\n") + 2]


def change(folder: Path, edit) -> None:
    """Rewrite every file; `edit` takes its header, its image and its number."""
    for number, path in enumerate(sorted(folder.iterdir())):
        head = header_of(path)
        path.write_bytes(edit(head, path.read_bytes()[len(head) :], number))


def require_all_frames(source: EdfFolder, dtype: str = "uint16") -> None:
    """The six frames of `ROCKING`, each at its motors."""
    assert [
        dict(zip(("diffry", "diffrz"), pair, strict=True))
        for pair in zip(source.motors.omega_deg, source.motors.base_tilt_deg, strict=True)
    ] == ROCKING
    for i in range(6):
        image = source.read(i, Roi.whole(source.frame_shape))
        np.testing.assert_array_equal(image, frame(i, dtype=dtype))
        np.testing.assert_array_equal(source.read(i, Roi(1, 2, 2, 3)), image[1:3, 2:5])


def general(keys: str = "", data: bytes = b"") -> bytes:
    text = (
        f"{{\nEDF_DataFormatVersion = 2.40 ;\nEDF_DataBlockID = 0.Image.General ;\n"
        f"EDF_BinarySize = {len(data)} ;\n{keys}"
    )
    return text.encode().ljust(510) + b"}\n" + data


def with_line(head: bytes, line: str) -> bytes:
    return head.replace(b"scan = ", line.encode() + b" ;\nscan = ", 1)


def packed(head: bytes, how: str, content: bytes) -> bytes:
    sized = head.replace(b"Size = 48", f"Size = {len(content)}".encode())
    return with_line(sized, f"Compression = {how}") + content


ODD = {
    "a general block": lambda head, image, _: general() + head + image,
    "general blocks with data": lambda head, image, _: (
        general(data=b"{\n" * 40) + general() + head + image
    ),
    "a general block with the sizes": lambda head, image, _: (
        general("Dim_1 = 99 ;\nDim_2 = 98 ;\n") + head + image
    ),
    "a first block without any key": lambda head, image, _: b"{\n}\n" + head + image,
    "a block of errors after the image": lambda head, image, _: (
        head + image + head.replace(b".Image.Psd", b".Image.Error") + image
    ),
    "a block without an image after it": lambda head, image, _: head + image + general(),
    "Dim_3": lambda head, image, _: with_line(head, "Dim_3 = 1") + image,
    "Dim_3 and Dim_4": lambda head, image, _: with_line(head, "Dim_4 = 1 ;\nDim_3 = 1") + image,
    "a first axis of one pixel": lambda head, image, _: (
        with_line(head, "Dim_3 = 4")
        .replace(b"Dim_2 = 4", b"Dim_2 = 6")
        .replace(b"Dim_1 = 6", b"Dim_1 = 1")
        + image
    ),
    "sizes with a point": lambda head, image, _: head.replace(b"Dim_1 = 6", b"Dim_1 = 6.0") + image,
    "tabs": lambda head, image, _: head.replace(b" = ", b"\t=\t").replace(b" ;", b"\t;") + image,
    "tabs between motors": lambda head, image, _: (
        head.replace(b"diffry diffrz", b"diffry\tdiffrz") + image
    ),
    "returns": lambda head, image, _: head.replace(b"\n", b"\r\n") + image,
    "keys in upper case": lambda head, image, _: (
        head.replace(b"Dim_", b"DIM_").replace(b"DataType", b"DATATYPE") + image
    ),
    "a type in upper case": lambda head, image, _: (
        head.replace(b"UnsignedShort", b"UNSIGNEDSHORT") + image
    ),
    "a long header": lambda head, image, _: (
        with_line(
            head.replace(b"EDF_HeaderSize =  ", b"EDF_HeaderSize = 301568"),
            "title = " + "x" * 300_000,
        )
        + image
    ),
    "a header of 512 bytes more": lambda head, image, number: (
        with_line(head, "title = " + "x" * 512 * number) + image
    ),
    "commas between motors": lambda head, image, _: (
        head.replace(b"trash mono diffry diffrz", b"trash,mono, diffry ,diffrz") + image
    ),
    "stray bytes": lambda head, image, _: head + image + b"\0stray{" * 50,
    "a size with padding": lambda head, image, _: (
        head.replace(b"Size = 48", b"Size = 512") + image.ljust(512, b"\0")
    ),
    "packed inside by gzip": lambda head, image, _: packed(
        head, "GzipCompression", gzip.compress(image)
    ),
    "packed inside by zlib": lambda head, image, _: packed(
        head, "ZCompression", zlib.compress(image)
    ),
}
for _order in ("LOWBYTEFIRST", "lowbytefirst", "Low Byte First", "LittleEndian", "little_endian"):
    ODD[f"the order {_order}"] = lambda head, image, _, order=_order: (
        head.replace(b"LowByteFirst", order.encode()) + image
    )
for _order in ("HighByteFirst", "HIGHBYTEFIRST", "high byte first", "BigEndian", "big-endian"):
    ODD[f"the order {_order}"] = lambda head, image, _, order=_order: (
        head.replace(b"LowByteFirst", order.encode())
        + np.frombuffer(image, "<u2").astype(">u2").tobytes()
    )


BEYOND_FABIO = {"a first block without any key", "a type in upper case", "a long header"}


@pytest.mark.parametrize("kind", ODD)
def test_odd_files_are_read_without_a_word(write_folder, kind):
    folder = write_folder(ROCKING)
    change(folder, ODD[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_all_frames(open_quietly(folder))
        assert read_image(folder / "topo_0002.edf").tolist() == frame(2).tolist()
    if kind not in BEYOND_FABIO and "order" not in kind:
        with fabio.open(str(folder / "topo_0001.edf")) as opened:
            np.testing.assert_array_equal(np.squeeze(opened.data), frame(1))


def test_readings_with_decimal_commas(write_folder):
    folder = write_folder([{**at, "chi": 1.25, "phi": -0.5} for at in ROCKING])
    change(
        folder,
        lambda head, image, _: (
            b";".join(
                line.replace(b".", b",") if b"motor_pos" in line else line
                for line in head.split(b";")
            )
            + image
        ),
    )
    source = open_quietly(folder)
    require_all_frames(source)
    assert set(source.motors.chi_deg) == {1.25}
    assert set(source.motors.phi_deg) == {-0.5}


@pytest.mark.parametrize(
    ("line", "omega"),
    [
        ("1.5 2.5", 1.5),
        ("1,5 2,5", 1.5),
        ("1.5,2.5", 1.5),
        ("1.5, 2.5", 1.5),
        ("1,5, 2,5", 1.5),
        ("  1.5\t2.5 ", 1.5),
        ("+1.5E+00 2.5", 1.5),
        ("1.5D-01 2.5", 0.15),
        (".5 2.5", 0.5),
        ("-1 2", -1),
    ],
)
def test_numbers_as_programs_write_them(tmp_path, line, omega):
    keys = {"motor_mne": "diffry diffrz", "motor_pos": "LINE"}
    path = write_edf(tmp_path / "topo_0.edf", frame(0), {}, **keys)
    path.write_bytes(path.read_bytes().replace(b"LINE", line.encode()))
    with pytest.warns(Recon3DWarning, match="taken as still"):
        motors = open_quietly(tmp_path).motors
    assert motors.omega_deg[0] == omega


@pytest.mark.parametrize("line", ["1.5", "1.5 2.5 3.5", "1,5,2,5", "1.234,5 2"])
def test_readings_that_cannot_be_told_apart_are_refused(tmp_path, line):
    keys = {"motor_mne": "diffry diffrz", "motor_pos": line}
    write_edf(tmp_path / "topo_0.edf", frame(0), {}, **keys)
    with pytest.raises(DataError, match=r"topo_0\.edf (names 2 motors|reads '1\.234,5')"):
        open_quietly(tmp_path, goniometer=Goniometer("diffry", "diffrz", "diffry", "diffrz"))


def test_no_byte_order_is_said_once(write_folder):
    folder = write_folder(ROCKING)
    change(folder, lambda head, image, _: head.replace(b"ByteOrder", b"Remark") + image)
    with pytest.warns(Recon3DWarning, match="6 of 6 files .* name no ByteOrder") as told:
        require_all_frames(open_quietly(folder))
    assert len(told) == 1


def test_bytes_have_no_order(write_folder):
    folder = write_folder(ROCKING, dtype="uint8")
    change(folder, lambda head, image, _: head.replace(b"ByteOrder", b"Remark") + image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_all_frames(open_quietly(folder), "uint8")


def test_no_byte_order_where_high_bytes_come_first_is_refused(write_folder):
    counts = np.random.default_rng(0).poisson(100, (20, 20)).astype(">u2")
    folder = write_folder(ROCKING, shape=(20, 20))
    change(
        folder,
        lambda head, _image, _: head.replace(b"ByteOrder", b"Remark") + counts.tobytes(),
    )
    with pytest.raises(DataError, match=r"names no ByteOrder, and .*HighByteFirst"):
        open_quietly(folder)


def test_a_file_without_a_type_is_read_where_its_length_tells_it(write_folder):
    folder = write_folder(ROCKING)
    change(folder, lambda head, image, _: head.replace(b"DataType", b"Remark") + image)
    require_all_frames(open_quietly(folder))
    change(folder, lambda head, image, _: head + image + image)
    with pytest.raises(DataError, match="does not name the DataType"):
        open_quietly(folder)


@pytest.mark.parametrize("suffix", [".EDF", ".Edf", ".edf.gz", ".EDF.GZ", ".edf.bz2", ".EDF.BZ2"])
def test_suffixes(write_folder, suffix):
    folder = write_folder(ROCKING)
    pack = {"z": gzip.compress, "2": bz2.compress}.get(suffix[-1].lower(), bytes)
    for path in list(folder.iterdir()):
        path.with_suffix(suffix).write_bytes(pack(path.read_bytes()))
        path.unlink()
    require_all_frames(open_quietly(folder))
    np.testing.assert_array_equal(read_image(folder / f"topo_0003{suffix}"), frame(3))
    assert mean_frame(folder, "topo_")[0, 0] == 250


def test_packed_files_of_another_name_are_told_by_their_content(write_folder):
    folder = write_folder(ROCKING)
    for path, pack in zip(folder.iterdir(), 3 * [gzip.compress, bz2.compress], strict=True):
        path.write_bytes(pack(path.read_bytes()))
    require_all_frames(open_quietly(folder))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_damaged_packing_is_refused(write_folder, pack):
    folder = write_folder(ROCKING)
    packed = bytearray(pack((folder / "topo_0001.edf").read_bytes()))
    packed[len(packed) // 2] ^= 255
    (folder / "topo_0001.edf").write_bytes(packed)
    with pytest.raises(DataError, match=r"topo_0001\.edf cannot be unpacked"):
        open_quietly(folder)


def test_damage_inside_a_packed_image_is_refused(write_folder):
    folder = write_folder(ROCKING)
    change(folder, ODD["packed inside by gzip"])
    path = folder / "topo_0004.edf"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"1 of 6 .*topo_0004\.edf .*fabio"):
        open_quietly(folder)


def test_an_image_in_a_second_file(write_folder):
    folder = write_folder(ROCKING)

    def edit(head, image, number):
        (folder.parent / f"topo_{number}.raw").write_bytes(image)
        return with_line(head, f"EDF_BinaryFileName = topo_{number}.raw")

    change(folder, edit)
    for path in folder.parent.glob("*.raw"):
        path.rename(folder / path.name)
    require_all_frames(open_quietly(folder))
    (folder / "topo_2.raw").unlink()
    with pytest.raises(DataError, match=r"topo_0002\.edf .*topo_2\.raw"):
        open_quietly(folder)


def spread(folder: Path, where) -> None:
    """Move every file into the sub-folder that `where` names for its number."""
    for number, path in enumerate(sorted(folder.glob("*.edf"))):
        below = folder / where(number)
        below.mkdir(parents=True, exist_ok=True)
        path.rename(below / path.name)


@pytest.mark.parametrize(
    "where",
    [
        lambda number: f"omega_{number // 3}",
        lambda number: f"w{number // 3}/frames",
        lambda number: f"scan 1/omega_{number // 3}.5/edf",
    ],
)
def test_a_folder_for_each_omega(write_folder, where):
    folder = write_folder(ROCKING)
    spread(folder, where)
    source = open_quietly(folder)
    require_all_frames(source)
    assert where(4) in source.name(4)


def test_folders_are_looked_into_three_deep(write_folder):
    folder = write_folder(ROCKING)
    spread(folder, lambda _: "a/b/c/d")
    with pytest.raises(DataError, match=r"no file topo_\*\.edf"):
        open_quietly(folder)
    require_all_frames(open_quietly(folder / "a"))


def test_a_prefix_can_be_that_of_the_folders(write_folder):
    folder = write_folder(ROCKING, prefix="frame_")
    spread(folder, lambda number: f"topo_{number // 3}")
    require_all_frames(open_quietly(folder, "topo_"))
    require_all_frames(open_quietly(folder, "-"))
    require_all_frames(open_quietly(folder, "topo_*"))


def test_ten_comes_after_nine():
    names = [f"w{i}/topo_{j}.edf" for i in (2, 9, 10) for j in (8, 11)]
    mixed = names[3:] + names[:3]
    assert sorted(mixed, key=natural) == names != sorted(mixed)


def test_a_link_to_its_own_folder_adds_no_frame(write_folder):
    folder = write_folder(ROCKING)
    spread(folder, lambda number: f"omega_{number // 3}")
    (folder / "latest").symlink_to("omega_1")
    (folder / "omega_0" / "up").symlink_to("..")
    require_all_frames(open_quietly(folder))


def test_the_folder_itself_comes_first(write_folder):
    folder = write_folder(ROCKING)
    (folder / "old").mkdir()
    (folder / "old" / "topo_0000.edf").write_bytes((folder / "topo_0000.edf").read_bytes())
    require_all_frames(open_quietly(folder))


def refused(folder, prefix="topo_") -> str:
    with pytest.raises(DataError) as caught:
        r3.open_scan(folder, prefix, show_progress=False)
    assert len(str(caught.value)) <= 500
    return str(caught.value)


def test_the_nearest_prefix_is_named_and_not_every_file(write_folder):
    folder = write_folder(mosaicity([0, 10, 20], [0, 0.1, 0.2], np.arange(12) / 10), prefix="tomo_")
    for i in range(40):
        (folder / f"{'abcdefghij'[i % 10]}_{i:02d}_x{i}.edf").write_bytes(b"{")
    assert "it has others, such as tomo_0" in refused(folder, "topo_")
    spread(folder, lambda number: f"omega_{number % 5}")
    assert "such as omega_" in refused(folder, "topo_")


def test_what_is_there_instead_is_named(tmp_path):
    (tmp_path / "topo_0.tif").touch()
    assert f"no file topo_*.edf in {tmp_path}: it has no EDF file at all" in refused(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    assert f"the folder {tmp_path}/run2 does not exist" in refused(tmp_path / "run2")
    path = write_edf(tmp_path / "topo_0017.edf", frame(0), {})
    assert f"{path} is a file, neither HDF5 nor a folder of EDF files: give" in refused(path)


def test_a_link_that_leads_nowhere_names_its_target(write_folder):
    folder = write_folder(ROCKING)
    (folder / "topo_0003.edf").unlink()
    (folder / "topo_0003.edf").symlink_to("/nowhere/topo_0003.edf")
    assert "topo_0003.edf is a link to /nowhere/topo_0003.edf, which is not" in refused(folder)


def test_a_general_block_alone_is_no_image(write_folder):
    folder = write_folder(ROCKING)
    (folder / "topo_0003.edf").write_bytes(general())
    assert "topo_0003.edf holds no image: its header names no Dim_1" in refused(folder)


def test_messages_stay_short_whatever_is_wrong(write_folder):
    """Every file damaged in a way of its own, in a folder of a long name."""
    folder = write_folder(mosaicity([0, 10], [0, 0.1, 0.2], np.arange(20) / 10), folder="f" * 100)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.write_bytes(path.read_bytes()[: -1 - number % 40])
    assert "topo_0000.edf, topo_0040.edf, topo_0080.edf is truncated: " in str(refused(folder))


@pytest.mark.parametrize("key", ["motor_mne", "motor_pos"])
def test_headers_without_motors(write_folder, key):
    folder = write_folder(ROCKING)
    change(folder, lambda head, image, _: head.replace(key.encode(), b"remark") + image)
    assert f"6 of 6 files in {folder}" in refused(folder)
    assert f"has no {key} in its header" in refused(folder)


def test_many_motors_do_not_fill_a_message(tmp_path):
    positions = {f"motor{i}": 0.0 for i in range(300)}
    names = " ".join(positions)
    keys = {"motor_mne": f"diffrx {names}", "motor_pos": "0 " * 301}
    write_edf(tmp_path / "topo_0.edf", frame(0), {}, **keys)
    assert "(did you mean 'diffrx'?)" in refused(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((5,), "path is 5: expected a folder"),
        (("",), "path is ''"),
        ((None,), "path is None"),
        ((b"run1",), "path is b'run1'"),
        (([1, 2],), r"path is \[1, 2\]"),
        ((".", 5), "prefix is 5"),
        ((".", None), "prefix is None"),
    ],
)
def test_arguments_of_a_wrong_type(arguments, told):
    with pytest.raises(ParameterError, match=told):
        r3.open_scan(*arguments)


@pytest.mark.parametrize(
    "options",
    [
        {"goniometer": "id07"},
        {"goniometer": 6},
        {"goniometer": None},
        {"goniometer": ["id06"]},
        {"entries": 3},
        {"phi0_deg": "1.2"},
        {"chi0_deg": np.nan},
        {"chi0_deg": [1, 2]},
        {"tilt_azimuth_deg": "90"},
        {"tilt_azimuth_deg": 45},
        {"recorded_at": "end"},
        {"recorded_at": None},
        {"step_deg": "0.1"},
        {"step_deg": -1},
        {"step_deg": (0.1, 0.2, 0.3)},
    ],
)
def test_options_of_a_wrong_kind(write_folder, options):
    name = next(iter(options)).removesuffix("_deg")
    with pytest.raises(ParameterError, match=f"{name}.* is .*expected"):
        r3.open_scan(write_folder(ROCKING), "topo_", show_progress=False, **options)
