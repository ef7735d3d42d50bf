"""Progress of the engines, shown in the user's terminal or notebook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recon3d.runtime.progress import Stage

Report = Callable[[str, int, float, NDArray[np.float32] | None], None]
News = list[dict[str, Any]]


class EngineDisplay:
    """One progress bar for all engines, with their loads; a context manager.

    `report` and `watch`: as in `recon3d.reconstruct`. `preview`: where the grain so far is left.
    """

    def __init__(
        self,
        show: bool,
        report: Report | None = None,
        preview: Path | None = None,
        watch: Callable[[News], None] | None = None,
    ) -> None:
        self.show, self.report, self.preview, self.watch = show, report, preview, watch
        self._bar: Any = None
        self._told = 0
        self._residual = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(complete=kind is None)
        if self.preview is not None:
            self.preview.unlink(missing_ok=True)

    def __call__(self, news: News) -> None:
        """Show the latest news of every engine."""
        if self.watch is not None:
            self.watch(news)
        first = next((one for one in news if one.get("rank") == 0), None)
        if first is None:
            return
        for one in first.get("passed", [])[self._told :]:
            self._told += 1
            self._tell(*one)
        if self.show:
            self._draw(first["stage"], [one["load"] for one in news if "load" in one])

    def _tell(self, stage: str, number: int, residual: float) -> None:
        if number:
            self._residual = f"{residual:.4f}"
        if self.report is not None:
            self.report(stage, number, residual, self._grown() if number else None)

    def _grown(self) -> NDArray[np.float32] | None:
        if self.preview is None or not self.preview.is_file():
            return None
        return np.load(self.preview, allow_pickle=False)

    def _draw(self, stage: Stage, loads: list[float]) -> None:
        from tqdm.auto import tqdm

        if self._bar is None or self._bar.desc.rstrip(": ") != stage.description:
            self._close(complete=True)
            self._bar = tqdm(desc=stage.description, unit=stage.unit, total=stage.total)
        self._bar.n = min(stage.done, stage.total or stage.done)
        facts = {"residual": self._residual} if self._residual else {}
        facts["load"] = " ".join(f"{load:.0%}" for load in loads[:MOST_LOADS])
        self._bar.set_postfix(facts)

    def _close(self, *, complete: bool) -> None:
        if self._bar is not None:
            if complete and self._bar.total:
                self._bar.n = self._bar.total
            self._bar.close()
            self._bar = None


MOST_LOADS = 8
"""Of how many engines the load is shown: more do not fit into a line."""
