"""Draw docs/images/house.png: the rooms of the package, and which imports which.

Made from the imports in the code and the order in `tests/test_imports.py`; run it after a move.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, Rectangle

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "recon3d"
RULES = HERE.parent / "tests" / "test_imports.py"
GROUND = sorted(path.stem for path in PACKAGE.glob("[!_]*.py"))
"""Modules without a folder; they are drawn as one room."""


def room_order() -> list[str]:
    """The rooms from the bottom up, as the test of the house keeps them."""
    for node in ast.parse(RULES.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ROOMS":
            names = ast.literal_eval(node.value)
            return ["ground", *(name for name in names if (PACKAGE / name).is_dir())]
    raise SystemExit(f"{RULES} names no ROOMS")


def room_of(path: Path) -> str:
    """The room that a module is in."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "ground" if first in GROUND else first


def measure() -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Lines of every room, and how many imports lead from one room to another."""
    lines: Counter[str] = Counter()
    imports: Counter[tuple[str, str]] = Counter()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        lines[room_of(path)] += text.count("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recon3d."):
                other = node.module.split(".")[1]
                imports[room_of(path), "ground" if other in GROUND else other] += 1
    return lines, imports


def label_of(room: str) -> str:
    """What stands in a room's box: its name, and its folders or, on the ground, its modules."""
    if room == "ground":
        return " · ".join(GROUND)
    folders = sorted(p.name for p in (PACKAGE / room).iterdir() if (p / "__init__.py").exists())
    return f"{room}/" + (f"   {' · '.join(f'{name}/' for name in folders)}" if folders else "")


def draw() -> None:
    """Draw the rooms as boxes as long as their code, and the imports as arcs beside them."""
    rooms = room_order()
    lines, imports = measure()
    place = {room: number for number, room in enumerate(rooms)}
    figure, ax = plt.subplots(figsize=(9, 0.5 * len(rooms) + 0.6), layout="constrained")
    for room, y in place.items():
        ax.add_patch(Rectangle((0, y - 0.32), lines[room] / 1000, 0.64, color="#cfe0ee"))
        ax.text(0.06, y, label_of(room), va="center", fontsize=9)
    for (upper, lower), count in imports.items():
        if upper in place and lower in place and lower not in (upper, "ground"):
            ax.add_patch(
                FancyArrowPatch(
                    (-0.05, place[upper]),
                    (-0.05, place[lower]),
                    connectionstyle="arc3,rad=0.45",
                    arrowstyle="-|>",
                    mutation_scale=7,
                    linewidth=0.4 + count / 15,
                    color="#4a6fa5",
                    alpha=0.7,
                )
            )
    longest = max(lines[room] for room in rooms) / 1000
    ax.set(xlim=(-0.42 * longest, longest * 1.02), ylim=(-0.7, len(rooms) - 0.3), yticks=[])
    ax.set_xlabel("thousand lines; arrows lead to what is imported (all rooms import the ground)")
    ax.set_xticks(range(int(longest) + 1))
    ax.spines[["left", "top", "right"]].set_visible(False)
    figure.savefig(HERE / "images" / "house.png", dpi=120)


if __name__ == "__main__":
    draw()
