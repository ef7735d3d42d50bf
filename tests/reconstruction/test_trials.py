"""A grain is tried against its own scan."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.reconstruction.quality.trials import check_grain
from recon3d.reconstruction.run import reconstruct


@pytest.fixture(scope="module")
def grain_file(planted):
    scan = planted("demo")
    chosen = scan.experiment.with_settings(split_half=False, iterations=4)
    path = scan.store.path.with_name("grain.h5")
    reconstruct(scan.store, chosen, show_progress=False).save(path)
    return path


def test_a_good_grain_passes_and_a_tilt_comes_back(grain_file):
    trials = {trial.name: trial for trial in check_grain(grain_file)}
    assert trials.pop("magnification").passed is None
    assert all(trial.passed for trial in trials.values()), [*map(str, trials.values())]
    assert "mdeg was put in" in trials["known tilt"].words
    assert str(trials["wrong support"]).startswith("ok   wrong support: residual 0.")


def test_a_scan_that_is_not_there_is_named(grain_file, tmp_path):
    with pytest.raises(ParameterError, match="--scan names it"):
        check_grain(grain_file, tmp_path / "none.h5")


def test_too_few_projections_are_refused(planted, tmp_path):
    scan = planted("demo")
    few = scan.experiment.with_settings(
        method="backprojection", omega_exclude=tuple(map(float, scan.store.omega_deg[8:]))
    )
    path = tmp_path / "grain.h5"
    grain = reconstruct(scan.store, few, show_progress=False)
    replace(grain, mask=np.ones_like(grain.mask)).save(path)
    with pytest.raises(ParameterError, match="rests on 8 projections"):
        check_grain(path, scan.store.path)
