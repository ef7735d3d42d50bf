"""The catalogue of faults: how each is made, what Recon3D does, and the message.

`python tests/faults/fault_catalogue.py` writes the table of docs/faults.md anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STOPS, WARNS = "stops", "goes on, and says so"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Parameters
    ----------
    room
        The heading it stands under.
    what
        What is wrong, in words.
    does
        What Recon3D does.
    message
        What it says; `…` stands for anything.
    scan
        Which of the small scans is damaged.
    make
        Damages the scan in a folder, and gives the words of the command that meets the fault.
    left_out
        What `--skip-damaged` lists in the file; empty where it does not help.
    """

    room: str
    what: str
    does: str
    message: str
    scan: str
    make: Callable[[Path], list[str]]
    left_out: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status."""
        return 0 if self.does.startswith(WARNS) else 2 if "call" in self.does else 1

    def matches(self, text: str) -> bool:
        """Whether a message is the one that is promised."""
        parts = [re.escape(part) for part in self.message.split("…")]
        return re.search(".*".join(parts), text, re.DOTALL) is not None


CATALOGUE: list[Fault] = []


def fault(
    what: str,
    message: str,
    *,
    scan: str = "edf",
    does: str = STOPS,
    left_out: tuple[str, ...] = (),
) -> Callable[[Callable[[Path], list[str]]], Callable[[Path], list[str]]]:
    """Add what a function makes to the catalogue, under the heading of its module."""

    def add(make: Callable[[Path], list[str]]) -> Callable[[Path], list[str]]:
        room = make.__globals__["HEADING"]
        advice = "; `--skip-damaged` leaves it out" if left_out else ""
        CATALOGUE.append(Fault(room, what, does + advice, message, scan, make, left_out))
        return make

    return add


def load() -> list[Fault]:
    """All faults, in the order of the table."""
    if not CATALOGUE:
        import fault_arguments  # noqa: F401
        import fault_checkpoints  # noqa: F401
        import fault_edf  # noqa: F401
        import fault_hdf5  # noqa: F401
        import fault_results  # noqa: F401
    return CATALOGUE


BEGIN, END = "<!-- table of faults -->\n", "<!-- end of the table -->\n"


def table() -> str:
    """The table in Markdown, one heading after another."""
    lines: list[str] = []
    for room in dict.fromkeys(fault.room for fault in load()):
        lines += [f"## {room}", "", "| what is wrong | what Recon3D does | the message |"]
        lines.append("| --- | --- | --- |")
        for one in (fault for fault in CATALOGUE if fault.room == room):
            lines.append(f"| {one.what} | {one.does} | {one.message.replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


def with_table(document: str) -> str:
    """A document with the table put between its marks."""
    before, _, rest = document.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table()}{END}{after}"


if __name__ == "__main__":
    from fault_catalogue import with_table as renewed

    page = Path(__file__).parents[2] / "docs" / "faults.md"
    page.write_text(renewed(page.read_text("utf-8")), "utf-8")
