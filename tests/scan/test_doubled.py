"""Of two frames of one setting the right one is used."""

from __future__ import annotations

from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from bliss_files import add_entry

from recon3d.errors import DataError, Recon3DWarning
from recon3d.scan import doubled
from recon3d.scan.doubled import _lit
from recon3d.scan.scan import open_scan

MU = np.array([0.0, 0.1, 0.2])
EDGE = 32


def frames(first, *, lit=True, exposure=1, count=3):
    """Frames of offset and noise, with a bright square in the middle and one hot pixel."""
    rng = np.random.default_rng(first)
    made = 100 + rng.poisson(9, (count, EDGE, EDGE))
    made[:, 12:20, 12:20] += 60 * exposure * lit
    made[:, 3, 4] = 5000
    return made.astype("uint16")


def write(path, *entries):
    """A rocking scan of two ω, and then entries of the second ω: frames, μ, and options."""
    with h5py.File(path, "w") as file:
        first = (frames(1), MU, {"omega": 0.0})
        for number, (taken, mu, options) in enumerate((first, *entries)):
            scalars = {"omega": options.pop("omega", 10.0), "chi": 0.0, "phi": 0.0}
            current = options.pop("current", None)
            entry = add_entry(file, number + 1, taken, lists={"mu": mu}, scalars=scalars, **options)
            if current is not None:
                entry["instrument/current/data"] = np.full(len(taken), current)
    return path


def opened(path):
    return open_scan(path, skip_damaged=True, show_progress=False)


def second(path):
    """The frames of the second ω, opened with a warning, and the reasons of those left out."""
    with pytest.warns(Recon3DWarning, match="taken where others were") as caught:
        scan = opened(path)
    assert all(len(str(each.message)) < 500 for each in caught)
    return scan.read_projection(1), [reason for _, reason in scan.left_out]


@pytest.mark.parametrize("order", [1, -1])
def test_a_finished_scan_before_an_aborted_one(tmp_path, order):
    aborted = (frames(2, lit=False, count=2), MU[:2], {"end_reason": "USER_ABORT"})
    whole = (frames(3), MU, {"end_reason": "SUCCESS"})
    taken, left_out = second(write(tmp_path / "s.h5", *(aborted, whole)[::order]))
    np.testing.assert_array_equal(taken, frames(3))
    winner = 3 if order == 1 else 2
    assert left_out[0] == (
        f"was taken where s.h5, entry {winner}.1, frame 0 was, at omega = 10, mu = 0: that one is "
        "better or later, and used"
    )
    assert len(left_out) == 2


def test_an_aborted_scan_may_have_any_length(tmp_path):
    """Beyond a quarter of the frames, copies of equal merit would be two scans that are mixed."""
    aborted = (frames(2), MU, {"end_reason": "USER_ABORT"})
    taken, left_out = second(write(tmp_path / "s.h5", aborted, aborted, (frames(3), MU, {})))
    np.testing.assert_array_equal(taken, frames(3))
    assert len(left_out) == 6
    with pytest.raises(DataError, match=r"3 such in all.*two scans mixed"):
        opened(write(tmp_path / "s.h5", (frames(2), MU, {}), (frames(3), MU, {})))


@pytest.mark.parametrize(("again", "refused"), [((2, 2), False), ((3, 2), True)])
def test_a_quarter_of_the_frames_may_be_copies(tmp_path, again, refused):
    whole = [(frames(n), MU, {"omega": 10.0 * n}) for n in (1, 2, 3)]
    copies = [(frames(n + 5)[:n], MU[:n], {"omega": 10.0 * k}) for k, n in enumerate(again, 1)]
    path = write(tmp_path / "s.h5", *whole, *copies)
    if refused:  # 5 of 17
        with pytest.raises(DataError, match=r"5 such in all.*two scans mixed"):
            opened(path)
    else:  # 4 of 16
        np.testing.assert_array_equal(second(path)[0][:2], frames(7)[:2])


def test_two_mixed_scans_are_told_by_a_few_of_their_frames(tmp_path, monkeypatch):
    read, signal = [], doubled._signal
    monkeypatch.setattr(doubled, "_LOOKS", 1)
    monkeypatch.setattr(doubled, "_signal", lambda frame: read.append(1) or signal(frame))
    with pytest.raises(DataError, match=r"3 such in all.*two scans mixed"):
        opened(write(tmp_path / "mixed.h5", (frames(2), MU, {}), (frames(3), MU, {})))
    assert len(read) == 2
    _, left_out = second(
        write(tmp_path / "shut.h5", (frames(2, lit=False), MU, {}), (frames(3), MU, {}))
    )
    assert len(read) == 2 + 2 + 6
    assert len(left_out) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_frames_with_current_before_those_without(tmp_path, order):
    lost = (frames(2), MU, {"current": 0.0})
    stored = (frames(3), MU, {"current": 190.0})
    taken, _ = second(write(tmp_path / "s.h5", *(lost, stored)[::order]))
    np.testing.assert_array_equal(taken, frames(3))


@pytest.mark.parametrize("order", [1, -1])
def test_frames_with_signal_before_those_without(tmp_path, order):
    shut, lit = (frames(2, lit=False), MU, {}), (frames(3), MU, {})
    taken, _ = second(write(tmp_path / "s.h5", *(shut, lit)[::order]))
    np.testing.assert_array_equal(taken, frames(3))


def test_a_longer_exposure_does_not_make_the_other_frame_dark(tmp_path):
    longer = (frames(2, exposure=10, count=1), MU[:1], {"title": "a longer one"})
    again = (frames(4, count=1), MU[:1], {"title": "as the scan"})
    path = write(tmp_path / "s.h5", (frames(3), MU, {}), longer)
    np.testing.assert_array_equal(second(path)[0], frames(3))
    path = write(tmp_path / "s.h5", (frames(3)[1:], MU[1:], {}), longer, again)
    np.testing.assert_array_equal(second(path)[0][0], frames(4, count=1)[0])


def test_the_later_of_equals(tmp_path):
    part = (frames(3, count=1), MU[1:2], {})
    again = (frames(4, count=1), MU[1:2], {})
    first = (frames(2), MU, {"omega": 20.0})
    holes = (frames(5)[[0, 2]], MU[[0, 2]], {})
    taken, _ = second(write(tmp_path / "s.h5", first, holes, part, again))
    np.testing.assert_array_equal(taken[1], frames(4, count=1)[0])


def test_a_ct_beside_a_scan_is_no_part_of_it(tmp_path):
    single = (frames(2, exposure=10, count=1), MU[:1], {"title": "ct 10"})
    path = write(tmp_path / "s.h5", single, (frames(3), MU, {}))
    with pytest.warns(Recon3DWarning, match=r"2\.1 \(ct 10\): a single exposure beside a scan"):
        scan = open_scan(path, show_progress=False)
    np.testing.assert_array_equal(scan.read_projection(1), frames(3))


def test_without_leave_both_are_named_and_which_would_be_used(tmp_path):
    aborted = (frames(2, count=2), MU[:2], {"end_reason": "USER_ABORT"})
    path = write(tmp_path / "s.h5", aborted, (frames(3), MU, {}))
    with pytest.raises(
        DataError,
        match=r"s\.h5, entry 2\.1, frame 0 and s\.h5, entry 3\.1, frame 0 were both taken at "
        r"omega = 10, mu = 0 \(2 such in all\): .*--skip-damaged uses s\.h5, entry 3\.1, frame 0,",
    ) as caught:
        open_scan(path, show_progress=False)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("dim", "bright", "kept"), [(10, 35, [1]), (10, 25, [0, 1]), (3, 13, [1]), (3, 11, [0, 1])]
)
def test_a_frame_without_beam_is_a_third_of_the_other_worked_out_by_hand(dim, bright, kept):
    # 64 blocks: 100 ± 1, which is a noise of 1.48, and one that stands out by `dim` or `bright`;
    # what stands out by less than 8 x 1.48 = 11.9 is not lit.
    def frame(peak):
        blocks = np.full((8, 8), 99.0)
        blocks[4:] = 101
        blocks[4, 4] = 100 + peak
        return np.kron(blocks, np.ones((4, 4)))

    shown = [frame(dim), frame(bright)]
    source = SimpleNamespace(frame_shape=(32, 32), read=lambda index, _: shown[index])
    assert _lit(source, np.array([0, 1])).tolist() == kept
