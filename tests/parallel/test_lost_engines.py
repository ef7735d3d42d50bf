"""Engines that hang or are gone are started again."""

import os
import signal
import time

import pytest
from faulty_work import fails_on_one, hangs
from restarting import run

from recon3d.errors import Recon3DWarning
from recon3d.parallel import driver

pytestmark = pytest.mark.usefixtures("mpi")


def test_engines_that_hang_are_started_again(cluster, monkeypatch):
    monkeypatch.setattr(driver, "SILENT_S", 2.0)
    with pytest.warns(Recon3DWarning, match="come any farther"):
        run(cluster.client, hangs, 600.0, again=0.0)


def test_engines_that_died_before_the_call_are_started_again(cluster):
    client = cluster.client
    os.kill(client[1].apply_sync(os.getpid), signal.SIGKILL)
    while client.ids:
        time.sleep(0.05)
    with pytest.warns(Recon3DWarning, match="the engines are gone"):
        run(client, fails_on_one)
