"""Folders of EDF files: what is read, and what is refused."""

from __future__ import annotations

import gzip
import shutil

import fabio
import numpy as np
import pytest
from id06_folders import frame, grid, write_edf

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.readers.edf.folder import EdfFolder, mean_frame
from recon3d.readers.open import read_image
from recon3d.readers.source import Roi

ROCKING = grid(diffry=[0.0, 10.0], diffrz=[-0.1, 0.0, 0.1], chi=[1.5], obpitch=[25.1], energy=[17])


def open_quietly(folder, prefix="topo_", **options):
    return EdfFolder.open(folder, prefix, show_progress=False, **options)


def whole(source: EdfFolder, index: int = 0) -> np.ndarray:
    return source.read(index, Roi.whole(source.frame_shape))


def test_reads_motors_and_frames(write_folder):
    source = open_quietly(write_folder(ROCKING))
    assert source.frame_shape == (4, 6)
    assert source.dtype == np.uint16
    np.testing.assert_array_equal(source.motors.omega_deg, [0, 0, 0, 10, 10, 10])
    np.testing.assert_array_equal(source.motors.base_tilt_deg, [-0.1, 0, 0.1] * 2)
    np.testing.assert_array_equal(source.motors.chi_deg, [1.5] * 6)
    np.testing.assert_array_equal(source.motors.phi_deg, [0] * 6)
    np.testing.assert_array_equal(source.motors.two_theta_deg, [25.1] * 6)
    np.testing.assert_array_equal(source.motors.energy_kev, [17] * 6)
    np.testing.assert_array_equal(source.motors.ring_current_ma, [167.777] * 6)
    for i in range(6):
        np.testing.assert_array_equal(whole(source, i), frame(i))
        assert source.name(i).endswith(f"topo_{i:04d}.edf")


def test_roi_is_a_part_of_the_frame(write_folder):
    source = open_quietly(write_folder(ROCKING))
    np.testing.assert_array_equal(source.read(2, Roi(1, 2, 2, 3)), frame(2)[1:3, 2:5])
    with pytest.raises(ParameterError, match="6 columns and 4 rows"):
        source.read(2, Roi(3, 2, 2, 3))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_pixel_types(write_folder, dtype):
    source = open_quietly(write_folder(ROCKING, dtype=dtype))
    assert source.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(whole(source, 1), frame(1, dtype=dtype))


def test_big_endian_among_little_endian(write_folder):
    folder = write_folder(ROCKING)
    path = folder / "topo_0003.edf"
    content = path.read_bytes().replace(b"LowByteFirst", b"HighByteFirst")
    start = content.index(b"}\n") + 2
    path.write_bytes(content[:start] + frame(3).astype(">u2").tobytes())
    source = open_quietly(folder)
    np.testing.assert_array_equal(whole(source, 3), frame(3))
    np.testing.assert_array_equal(fabio.open(str(path)).data, frame(3))
    assert source.read(3, Roi(0, 0, 1, 1)).dtype.isnative


def test_packed_files_among_plain_ones(write_folder):
    folder = write_folder(ROCKING)
    for name in ("topo_0000.edf", "topo_0004.edf"):
        path = folder / name
        (folder / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    source = open_quietly(folder)
    assert [source.name(i)[-3:] for i in range(6)] == [".gz", "edf", "edf", "edf", ".gz", "edf"]
    for i in range(6):
        np.testing.assert_array_equal(whole(source, i), frame(i))


def test_headers_of_different_length(write_folder):
    folder = write_folder(ROCKING)
    for i, length in ((0, 10_000), (2, 3000)):
        write_edf(folder / f"topo_{i:04d}.edf", frame(i), ROCKING[i], title="x" * length)
    source = open_quietly(folder)
    np.testing.assert_array_equal(source.motors.base_tilt_deg, [-0.1, 0, 0.1] * 2)
    for i in range(6):
        np.testing.assert_array_equal(whole(source, i), frame(i))


@pytest.mark.parametrize("stray", [b"\0" * 7, b"stray bytes", b"\n" * 600])
def test_stray_bytes_after_the_image(write_folder, stray):
    folder = write_folder(ROCKING)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes() + stray)
    source = open_quietly(folder)
    np.testing.assert_array_equal(whole(source, 5), frame(5))


def test_order_is_that_of_numbers_in_the_names(tmp_path):
    for i in (1, 2, 9, 10, 100):
        write_edf(tmp_path / f"topo_{i}.edf", frame(i), {"diffry": i}, epoch="7")
    np.testing.assert_array_equal(open_quietly(tmp_path).motors.omega_deg, [1, 2, 9, 10, 100])


def test_order_is_that_of_distinct_epochs(tmp_path):
    for i in range(4):
        write_edf(tmp_path / f"topo_{i}.edf", frame(i), {"diffry": i}, epoch=f"{1e9 - i:.4f}")
    source = open_quietly(tmp_path)
    np.testing.assert_array_equal(source.motors.omega_deg, [3, 2, 1, 0])
    np.testing.assert_array_equal(whole(source, 0), frame(3))
    assert source.name(0).endswith("topo_3.edf")


@pytest.mark.parametrize(
    ("current", "keys", "expected"),
    [
        ("-nan", {}, np.nan),
        ("0", {}, np.nan),
        ("-3", {}, np.nan),
        ("92.5", {}, 92.5),
        ("92.5", {"counter_mne": "sec other pico1 foc1"}, np.nan),
        ("1", {"counter_mne": "a b c d", "machine current": "1.985e+02 mA"}, 198.5),
        ("1", {"counter_mne": "sec srcur"}, np.nan),
    ],
)
def test_ring_current(tmp_path, current, keys, expected):
    write_edf(tmp_path / "topo_0.edf", frame(0), {}, current=current, **keys)
    np.testing.assert_array_equal(open_quietly(tmp_path).motors.ring_current_ma, [expected])


def test_energy_in_ev_becomes_kev(tmp_path):
    write_edf(tmp_path / "topo_0.edf", frame(0), {"energy": 17_000})
    np.testing.assert_array_equal(open_quietly(tmp_path).motors.energy_kev, [17])


def test_other_motor_names(tmp_path):
    write_edf(tmp_path / "a.edf", frame(0), {"rot": 3, "tilt": 2})
    names = Goniometer(omega="rot", base_tilt="tilt", two_theta="arm")
    motors = open_quietly(tmp_path, "a", goniometer=names).motors
    assert (motors.omega_deg[0], motors.base_tilt_deg[0]) == (3, 2)
    assert np.isnan(motors.two_theta_deg[0])


def test_rotation_and_rocking_alone_tell_the_beamline(tmp_path):
    write_edf(tmp_path / "a.edf", frame(0), {}, motor_mne="omega mu", motor_pos="3 2")
    with pytest.warns(Recon3DWarning, match="are not among the motors in the files"):
        motors = open_quietly(tmp_path, "a").motors
    assert (motors.omega_deg[0], motors.base_tilt_deg[0]) == (3, 2)


def test_unknown_motor_is_refused_with_the_nearest_name(write_folder):
    names = Goniometer(omega="difry", base_tilt="diffrz")
    with pytest.raises(DataError, match=r"'difry' \(omega\).*'diffry'.*trash mono"):
        open_quietly(write_folder(ROCKING), goniometer=names)


def test_the_nearest_motor_is_found_whatever_its_case(tmp_path):
    write_edf(tmp_path / "a.edf", frame(0), {}, motor_mne="phi DIFFRY chi", motor_pos="1 2 3")
    with pytest.raises(DataError, match=r"'diffry' .* mean 'DIFFRY'"):
        open_quietly(tmp_path, "a")


def test_absent_tilts_are_nan_with_a_warning(write_folder):
    names = Goniometer(omega="diffry", base_tilt="diffrz", phi="samphi")
    with pytest.warns(Recon3DWarning, match="'samphi'.*phi is taken as still"):
        motors = open_quietly(write_folder(ROCKING), goniometer=names).motors
    assert np.isnan(motors.phi_deg).all()
    assert np.isfinite(motors.chi_deg).all()


def test_no_files_names_similar_ones(write_folder):
    with pytest.raises(DataError, match=r"topp_\*\.edf .*scan: it has others, such as topo_000"):
        open_quietly(write_folder(ROCKING), "topp_")
    with pytest.raises(DataError, match=r"folder nowhere does not exist"):
        open_quietly("nowhere")


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_cut_header(path):
    path.write_bytes(path.read_bytes()[:100])


def damage_empty(path):
    path.write_bytes(b"")


def damage_garbage(path):
    path.write_bytes(np.random.default_rng(0).bytes(3000))


def damage_text(path):
    path.write_bytes(b"{ no end of the header" + b"x" * 600_000)


def damage_shape(path):
    write_edf(path, frame(0, (6, 4)), ROCKING[0])


def damage_type(path):
    write_edf(path, frame(0, dtype="int32"), ROCKING[0])


def damage_motor(path):
    path.write_bytes(path.read_bytes().replace(b"motor_pos = 0 0 ", b"motor_pos = 0 0 nan "))


def damage_omega(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"motor_pos = 0 0 10 ", b"motor_pos = 0 0 -nan "))


def damage_two_frames(path):
    path.write_bytes(path.read_bytes() * 2)


def damage_name(path):
    path.write_bytes(path.read_bytes().replace(b"diffry d", b"diffrx d"))


DAMAGES = {
    damage_truncate: "is truncated",
    damage_cut_header: "header without an end",
    damage_empty: "is empty",
    damage_garbage: "is no EDF file",
    damage_text: "header without an end",
    damage_shape: "holds 6 x 4 pixels of uint16, where most files hold 4 x 6",
    damage_type: "pixels of int32",
    damage_motor: "names 8 motors in motor_mne but has 9",
    damage_omega: "reads '-nan' for the motor 'diffry'",
    damage_two_frames: "more than one frame",
    damage_name: "no motor 'diffry'",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("number", [3, 5])
def test_damaged_files_are_refused(write_folder, damage, number):
    folder = write_folder(ROCKING)
    damage(folder / f"topo_{number:04d}.edf")
    with pytest.raises(DataError, match=f"1 of 6 files.*topo_000{number}.edf.*{DAMAGES[damage]}"):
        open_quietly(folder)


@pytest.mark.parametrize("damage", [damage_truncate, damage_empty, damage_garbage, damage_shape])
def test_a_damaged_first_file_is_the_one_that_is_named(write_folder, damage):
    folder = write_folder(ROCKING)
    damage(folder / "topo_0000.edf")
    with pytest.raises(DataError, match=f"1 of 6 .*topo_0000.edf {DAMAGES[damage]}"):
        open_quietly(folder)


@pytest.mark.parametrize("cut", [1, 9, 60, 200])
def test_truncated_packed_files_are_refused(write_folder, cut):
    folder = write_folder(ROCKING)
    path = folder / "topo_0002.edf"
    (folder / "topo_0002.edf.gz").write_bytes(gzip.compress(path.read_bytes())[:-cut])
    path.unlink()
    with pytest.raises(DataError, match=r"1 of 6 .*topo_0002\.edf\.gz cannot be unpacked"):
        open_quietly(folder)


def test_packed_file_of_too_few_rows_is_refused(write_folder):
    folder = write_folder(ROCKING)
    path = folder / "topo_0002.edf"
    (folder / "topo_0002.edf.gz").write_bytes(gzip.compress(path.read_bytes()[:-2]))
    path.unlink()
    with pytest.raises(DataError, match="is truncated"):
        open_quietly(folder)


def test_all_damaged_files_are_counted_and_named(write_folder):
    folder = write_folder(grid(diffry=range(10)))
    for i in range(3, 10):
        damage_truncate(folder / f"topo_{i:04d}.edf")
    with pytest.raises(DataError, match=r"7 of 10 .*0003.*0007.*0009") as caught:
        open_quietly(folder)
    assert "0008" in str(caught.value)


def test_damaged_files_can_be_left_out(write_folder):
    folder = write_folder(ROCKING)
    damage_empty(folder / "topo_0001.edf")
    with pytest.warns(Recon3DWarning, match="topo_0001.edf is empty.*left out"):
        source = open_quietly(folder, skip_damaged=True)
    np.testing.assert_array_equal(source.motors.omega_deg, [0, 0, 10, 10, 10])
    np.testing.assert_array_equal(whole(source, 1), frame(2))


def test_only_damaged_files_are_an_error_in_any_case(write_folder):
    folder = write_folder(ROCKING)
    for path in folder.iterdir():
        damage_garbage(path)
    with pytest.raises(DataError, match="6 of 6"):
        open_quietly(folder, skip_damaged=True)


@pytest.mark.parametrize("loss", [damage_truncate, damage_empty])
def test_files_that_shrink_or_vanish_later(write_folder, loss):
    folder = write_folder(ROCKING)
    source = open_quietly(folder)
    loss(folder / "topo_0001.edf")
    with pytest.raises(DataError, match=r"topo_0001\.edf ends before its last row"):
        whole(source, 1)
    (folder / "topo_0002.edf").unlink()
    with pytest.raises(DataError, match=r"topo_0002\.edf cannot be read"):
        whole(source, 2)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"Compression": "GzipCompression"}, "is not whole, says fabio"),
        (
            {"EDF_BinaryFileName": "other.raw"},
            "by fabio .*other.raw .*does not exist",
        ),
        ({"Dim_3": "2"}, "an array of 6 x 4 x 2"),
    ],
)
def test_unusual_layouts_are_refused(tmp_path, keys, reason):
    path = write_edf(tmp_path / "topo_0.edf", frame(0), {})
    line = "".join(f"{key} = {value} ;\n" for key, value in keys.items()).encode()
    path.write_bytes(path.read_bytes().replace(b"scan = ", line + b"scan = "))
    with pytest.raises(DataError, match=f"topo_0.edf .*{reason}"):
        open_quietly(tmp_path)


def test_compression_none_is_no_compression(tmp_path):
    write_edf(tmp_path / "topo_0.edf", frame(0), {}, Compression="None")
    np.testing.assert_array_equal(whole(open_quietly(tmp_path)), frame(0))


def test_mean_frame_needs_no_motors(tmp_path):
    for i in range(3):
        image = fabio.edfimage.EdfImage(data=frame(i), header={"title": "dark"})
        image.write(str(tmp_path / f"bg_{i}.edf"))
    expected = np.mean([frame(i) for i in range(3)], axis=0)
    np.testing.assert_array_equal(mean_frame(tmp_path, "bg_"), expected)


def test_images_of_other_kinds(tmp_path):
    image = frame(3, dtype="float32")
    np.save(tmp_path / "flat.npy", image)
    fabio.tifimage.TifImage(data=image).write(str(tmp_path / "flat.tif"))
    write_edf(tmp_path / "flat.edf", image, {})
    for name in ("flat.npy", "flat.tif", "flat.edf"):
        np.testing.assert_array_equal(read_image(tmp_path / name), image)


def test_bad_images_are_refused(tmp_path):
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    path = write_edf(tmp_path / "cut.edf", frame(0), {})
    damage_truncate(path)
    with pytest.raises(DataError, match="rows x columns"):
        read_image(tmp_path / "cube.npy")
    with pytest.raises(DataError, match="truncated"):
        read_image(path)
    with pytest.raises(DataError, match=r"nothing\.npy"):
        read_image(tmp_path / "nothing.npy")


@pytest.mark.parametrize("packed", [True, False])
def test_a_real_frame_of_id06(tmp_path, packed, real_data):
    file = real_data("id06_2017_strain_0000.edf.gz")
    path = tmp_path / file.name
    shutil.copy(file, path)
    if not packed:
        path = tmp_path / "id06_2017_strain_0000.edf"
        path.write_bytes(gzip.decompress(file.read_bytes()))
        (tmp_path / file.name).unlink()
    source = open_quietly(tmp_path, "id06")
    assert (source.frame_shape, source.dtype) == ((2048, 2048), np.uint16)
    assert source.files[0].head.offset == 3072
    motors = {name: column[0] for name, column in source.motors.items()}
    assert motors["ring_current_ma"] == 167.777
    assert motors["omega_deg"] == -23.176
    assert motors["base_tilt_deg"] == -1.38401e-06
    assert (motors["chi_deg"], motors["phi_deg"]) == (2.79004, 2.83)
    assert motors["two_theta_deg"] == 25.1023
    assert np.isnan(motors["energy_kev"])
    expected = fabio.open(str(path)).data
    np.testing.assert_array_equal(whole(source), expected)
    part = source.read(0, Roi(700, 900, 300, 200))
    np.testing.assert_array_equal(part, expected[700:1000, 900:1100])
