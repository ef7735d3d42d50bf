import threading

import pytest

from recon3d.errors import OutputError, ParameterError
from recon3d.runtime.atomic import complete_or_absent, require_writable


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    with complete_or_absent(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.suffix == ".txt"
        assert temporary.parent == tmp_path
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_is_replaced_only_on_success(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_and_fail():
        with complete_or_absent(path) as temporary:
            temporary.write_text("half of the n")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_and_fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with complete_or_absent(str(path)) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(ParameterError, match="no folder"),
        complete_or_absent(tmp_path / "no" / "a"),
    ):
        pass


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    target, barrier, left = tmp_path / "a.txt", threading.Barrier(3), []

    def write(text: str) -> None:
        with complete_or_absent(target) as temporary:
            barrier.wait()
            temporary.write_text(text)
            left.append(temporary.name)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(left)) == 3
    assert target.read_text() in "abc"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_cannot_be_replaced_is_told_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "grain.h5").touch()
    (tmp_path / "grain_ang.npy").mkdir()
    require_writable(tmp_path, "grain.h5", "not there yet")
    with pytest.raises(OutputError, match=r"grain_ang\.npy cannot .* folder of that name"):
        require_writable(tmp_path, "grain.h5", "grain_ang.npy")
    # In a folder like /tmp, all may make files, and only their owners replace them.
    tmp_path.chmod(0o1777)
    require_writable(tmp_path, "grain.h5")
    monkeypatch.setattr("os.geteuid", lambda: (tmp_path / "grain.h5").stat().st_uid + 1)
    with pytest.raises(OutputError, match=r"grain\.h5 cannot be written: .* another user's"):
        require_writable(tmp_path, "grain.h5")
