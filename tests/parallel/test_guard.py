"""Engines and their controller end with the notebook that started them, even where it is killed."""

import signal
import subprocess
import sys
import time

import pytest

from recon3d.parallel.guard import guarded

ENDS_WITHIN_S = 30
NOTEBOOK = """
import time
import recon3d as r3

cluster = r3.Cluster(2, threads=1).start()
cluster.client[:].apply_async(lambda: [one for one in iter(int, 1)])  # for ever
print("working", flush=True)
time.sleep(600)
"""
OWNER = """
import subprocess, sys, time
from recon3d.parallel.guard import guarded

words = guarded(["sh", "-c", sys.argv[1]])
words[1:3] = ["-c", sys.argv[2]]
child = subprocess.Popen(words)
print(child.pid, flush=True)
time.sleep(600)
"""
QUICK = """
import sys
from recon3d.parallel import guard

guard.POLL_S, guard.GRACE_S = 0.1, 0.5
guard.main(sys.argv[1:])
"""
"""The guard, which looks more often, and has less patience."""
STUBBORN = "trap '' TERM; sleep 500 & wait; wait"


@pytest.mark.usefixtures("mpi")
def test_engines_of_a_killed_notebook_end():
    import psutil

    words = [sys.executable, "-c", NOTEBOOK]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as notebook:
        assert notebook.stdout.readline() == "working\n"
        family = psutil.Process(notebook.pid).children(recursive=True)
        assert len(family) > 8
        notebook.kill()
    _, alive = psutil.wait_procs(family, timeout=ENDS_WITHIN_S)
    assert alive == []


@pytest.mark.usefixtures("mpi")
@pytest.mark.parametrize("command", ["exec sleep 500", STUBBORN])
def test_a_command_ends_with_its_owner(command):
    import psutil

    words = [sys.executable, "-c", OWNER, command, QUICK]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as owner:
        process = psutil.Process(int(owner.stdout.readline()))
        while process.name() not in ("sh", "sleep"):  # what becomes of the guard
            time.sleep(0.02)
        family = [process, *process.children(recursive=True)]
        owner.kill()
    _, alive = psutil.wait_procs(family, timeout=ENDS_WITHIN_S)
    assert alive == []


def test_a_command_keeps_its_process_status_and_signals():
    done = subprocess.run(guarded(["sh", "-c", "echo $$; exit 7"]), capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip().isdecimal()) == (7, True)
    with subprocess.Popen(guarded(["sh", "-c", "echo $$; exec sleep 500"]), stdout=-1) as process:
        assert int(process.stdout.readline()) == process.pid
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM
