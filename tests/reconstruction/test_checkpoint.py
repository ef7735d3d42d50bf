"""A run that was cut short goes on from its checkpoint to the same answer."""

from dataclasses import replace
from functools import cache

import h5py
import numpy as np
import pytest

from recon3d.errors import DataError, ParameterError
from recon3d.reconstruction.fit.checkpoint import Checkpoints
from recon3d.reconstruction.fit.iterative import usual_subset
from recon3d.reconstruction.run import reconstruct

QUICK = {"handedness": -1, "align": "none", "iterations": 2, "stop_change": 0.0}


class CutShort(Exception):
    """Stands for the power going off."""


class Fragile(Checkpoints):
    """Saves before every subset, and dies at one of them."""

    dies_at = 0

    def watch(self, stage):
        save = super().watch(stage)

        def before_subset(fit):
            save(fit)
            self.dies_at -= 1
            if self.dies_at == 0:
                raise CutShort

        return before_subset


def run(scan, checkpoints=None, **settings):
    experiment = scan.experiment.with_settings(**(QUICK | settings))
    return reconstruct(scan.store, experiment, show_progress=False, checkpoints=checkpoints)


@pytest.fixture(scope="module")
def scan(planted):
    """A planted scan on few voxels and bins: what is found hardly matters here."""
    fine = planted("demo", handedness=-1)
    volume = replace(fine.experiment.volume, shape=(12, 12, 12))
    experiment = replace(fine.experiment, volume=volume).with_settings(bin_deg=0.03)
    return replace(fine, experiment=experiment)


@pytest.fixture(scope="module")
def whole(scan):
    """What runs that are not cut short find, with and without halves."""
    return cache(lambda halves: run(scan, split_half=halves))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.h5"


def cut_short(scan, path, dies_at, **settings):
    fragile = Fragile(path, seconds=1e-9)
    fragile.dies_at = dies_at
    with pytest.raises(CutShort):
        run(scan, fragile, **settings)
    return fragile


def subsets(scan):
    return max(len(scan.store.omega_deg) // usual_subset(len(scan.store.omega_deg)), 1)


@pytest.mark.parametrize("where", ["first subset", "a pass", "its end", "a half"])
def test_the_answer_is_the_same_wherever_a_run_was_cut(scan, whole, path, where):
    count = subsets(scan)
    dies_at = {"first subset": 1, "a pass": 2, "its end": count + 1, "a half": 2 * count + 2}[where]
    halves = where == "a half"
    whole = whole(halves)
    cut_short(scan, path, dies_at, split_half=halves)
    assert path.exists()
    resumed = run(scan, Checkpoints(path, seconds=60, go_on=True), split_half=halves)
    assert np.array_equal(whole.occupancy, resumed.occupancy)
    assert np.array_equal(whole.orientation, resumed.orientation, equal_nan=True)
    assert whole.residual.tolist() == resumed.residual.tolist()
    assert whole.curves.keys() == resumed.curves.keys()
    for name, curve in whole.curves.items():
        assert np.array_equal(curve, resumed.curves[name])
    assert np.array_equal(
        whole.projections["residual"], resumed.projections["residual"], equal_nan=True
    )


def test_a_resumed_run_does_not_do_again_what_was_done(scan, path):
    count = subsets(scan)
    cut_short(scan, path, count + 2, split_half=False)
    passes = []
    experiment = scan.experiment.with_settings(**QUICK, split_half=False)
    reconstruct(
        scan.store,
        experiment,
        show_progress=False,
        report=lambda stage, number, *_: passes.append((stage, number)),
        checkpoints=Checkpoints(path, go_on=True),
    )
    assert [number for stage, number in passes if stage == "iteration" and number] == [2]


def test_another_run_is_refused(scan, path):
    cut_short(scan, path, 2, split_half=False)
    with pytest.raises(ParameterError, match=r"another iterations \(2, this one has 3\)"):
        run(scan, Checkpoints(path, go_on=True), iterations=3, split_half=False)
    brighter = replace(scan, store=replace(scan.store, integrated=2 * scan.store.integrated))
    with pytest.raises(ParameterError, match="another scan"):
        run(brighter, Checkpoints(path, go_on=True), split_half=False)


def test_a_damaged_checkpoint_is_refused(scan, path):
    path.write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="start anew without --resume"):
        run(scan, Checkpoints(path, go_on=True))


def test_a_changed_byte_of_the_state_is_noticed(scan, path):
    cut_short(scan, path, 2, split_half=False)
    with h5py.File(path) as file:
        chunk = file["fit/volume"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        run(scan, Checkpoints(path, go_on=True), split_half=False)


def test_without_a_checkpoint_the_run_starts_over_and_says_so(scan, path, caplog):
    caplog.set_level("INFO", logger="recon3d")
    grain = run(scan, Checkpoints(path, go_on=True), split_half=False)
    assert "starts from the beginning" in caplog.text
    assert len(grain.residual) == 2


def test_zero_seconds_save_nothing(scan, path):
    run(scan, Checkpoints(path, seconds=0), split_half=False)
    assert not path.exists()


def test_old_states_give_way_to_those_of_a_new_run(scan, path):
    old = path.with_name("checkpoint-half-1.h5")
    old.touch()
    fragile = cut_short(scan, path, 2, split_half=False)
    assert not old.exists()
    first = fragile.progress()
    with h5py.File(path) as file:
        assert int(file["fit/position"][()]) == 1
    fragile.remove()
    assert not path.exists()
    assert fragile.progress() < first
