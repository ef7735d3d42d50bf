"""A cell that is run before those above it, in a kernel of `recon3d notebooks --open`."""

import pytest
from jupyter_client.manager import start_new_kernel

from recon3d.cli.notebooks import kernel_environment


@pytest.fixture(scope="module")
def run():
    """Run a cell; gives its status, what it printed, and its traceback."""
    manager, client = start_new_kernel(env=kernel_environment())

    def run_cell(code):
        shown = {"stream": [], "error": []}

        def take(message):
            content = message["content"]
            text = content.get("text") or "\n".join(content.get("traceback", ()))
            shown.get(message["msg_type"], []).append(text)

        reply = client.execute_interactive(code, output_hook=take, timeout=120)
        return reply["content"]["status"], "".join(shown["stream"]), "".join(shown["error"])

    yield run_cell
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_it_is_told_in_a_sentence_and_the_rest_is_not_run(run):
    status, told, traceback = run("roi = 1\nsession.live(roi)")
    assert status == "error"
    assert told.startswith("line 2: there is no 'session' yet. Where a cell above makes it, run")
    assert not traceback


def test_other_errors_are_shown_as_usual(run):
    _, told, traceback = run("def area(side):\n    return sied**2\n\narea(3)")
    assert "name 'sied' is not defined" in traceback
    assert not told
    assert "ZeroDivisionError" in run("1 / 0")[2]


def test_the_notebook_has_no_name_more(run):
    _, names, _ = run("print(*(name for name in dir() if not name.startswith('_')))")
    assert set(names.split()) <= {"In", "Out", "area", "exit", "get_ipython", "open", "quit", "roi"}


def test_a_startup_file_of_the_users_own_is_kept(monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", "mine.py")
    assert kernel_environment()["PYTHONSTARTUP"] == "mine.py"
