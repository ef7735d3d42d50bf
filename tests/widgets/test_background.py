import asyncio
import threading
import time

import pytest

from recon3d.widgets.controls.background import Background


def test_results_arrive_in_order():
    seen = []
    work = Background()
    work.start(iter([1, 2, 3]), seen.append)
    work.wait()
    assert seen == [1, 2, 3]
    assert not work.busy


def test_a_newer_job_ends_the_older_one_and_silences_it():
    gate, seen = threading.Event(), []

    def endless():
        while True:
            gate.wait(5)
            yield "old"

    work = Background()
    work.start(endless(), seen.append)
    work.start(iter(["new"]), seen.append)
    gate.set()
    work.wait()
    assert seen == ["new"]


def test_errors_are_handed_over():
    def fails():
        yield 1
        raise ValueError("broken")

    errors = []
    work = Background(errors.append)
    work.start(fails(), lambda _: None)
    work.wait()
    assert [str(error) for error in errors] == ["broken"]


def test_waiting_may_end_early_or_too_late():
    def slow():
        for number in range(100):
            time.sleep(0.01)
            yield number

    seen = []
    work = Background()
    work.start(slow(), seen.append)
    work.wait(until=lambda: len(seen) >= 3)
    assert 3 <= len(seen) < 100
    with pytest.raises(TimeoutError, match="longer than"):
        work.wait(0.05)
    work.cancel()
    work.wait()


def test_with_an_event_loop_results_arrive_in_its_thread():
    async def main():
        threads = []
        work = Background()
        work.start(iter([1]), lambda _: threads.append(threading.get_ident()))
        while not threads:
            await asyncio.sleep(0.01)
        return threads

    assert asyncio.run(main()) == [threading.get_ident()]
