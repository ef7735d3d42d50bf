"""Orientations of one projection or of one slice: click to see what is behind a pixel or voxel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.backend_bases import MouseEvent

from recon3d.analysis.projection_maps import illuminated, projection_moments
from recon3d.arguments import checked
from recon3d.colors import orientation_range
from recon3d.config.experiment import Experiment
from recon3d.errors import ParameterError, listed
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.plot.grain.slices import SHOWN_AXES, draw_slice, name_cut
from recon3d.plot.parts import TEXT_SIZE, draw_color_key
from recon3d.plot.scan.detector_frames import setting_text
from recon3d.plot.scan.projections import (
    draw_illuminated_frames,
    draw_illuminated_projections,
    draw_mosaicity,
    draw_tilt_map,
    image_extent,
    mark_tilt,
)
from recon3d.reconstruction.quality.reprojection import (
    VoxelEvidence,
    look_at_voxel,
    model_of,
    voxel_bins,
)
from recon3d.scan.table import Projection
from recon3d.widgets.controls.canvas import new_canvas
from recon3d.widgets.controls.panel import Panel, choice, row, show_if, slider

PAUSE_S = 0.4
"""How long a slider must rest before a voxel is looked at that nobody clicked."""


class Mosaicity(Panel):
    """A map of orientations with its key, and the frames behind the place that was clicked.

    Parameters
    ----------
    store
        The cleaned scan.
    grain, experiment
        To see slices of the grain too.
    """

    @checked()
    def __init__(
        self, store: CleanedScan, grain: Grain | None = None, experiment: Experiment | None = None
    ) -> None:
        super().__init__()
        if grain is not None and experiment is None:
            raise ParameterError("to show a grain, give its experiment too")
        self.store, self.grain, self.experiment = store, grain, experiment
        self._picked: dict[str, Any] = {}
        self._read: tuple[int, Projection] | None = None
        kinds = ["projection", *(["slice"] if grain is not None else [])]
        self.shown = choice("show", kinds, kinds[0])
        self.projection = slider("projection", store.shape[0] // 2, 0, store.shape[0] - 1)
        self.axis = choice("normal to", ["x", "y", "z"], "z", "axis that the slice is normal to")
        self.index = slider("slice (voxel)", 0, 0, 1)
        self.canvas = new_canvas(6.4)
        self.canvas.mpl_connect("button_press_event", self._pressed)
        show_if(len(kinds) > 1, self.shown)
        self.children = [
            row(self.shown, self.projection, self.axis, self.index),
            self.canvas,
            self.status,
        ]
        self.axis.observe(lambda _: self._new_axis(), "value")
        self.answer_to(self.shown, self.projection, self.index)
        self._new_axis()

    @property
    def value(self) -> dict[str, Any]:
        """What was clicked: a pixel or a voxel, its mean tilt, and the frames that lit it."""
        return dict(self._picked)

    def refresh(self) -> None:
        """Draw the map anew, and look behind its brightest pixel or the middle of the grain."""
        is_slice = self.shown.value == "slice"
        show_if(not is_slice, self.projection)
        show_if(is_slice, self.axis)
        show_if(is_slice, self.index)
        figure = self.canvas.figure
        figure.clear()
        self._mark: Any = None
        self.ax = figure.add_axes((0.04, 0.1, 0.34, 0.8))
        self._key = figure.add_axes((0.46, 0.66, 0.12, 0.24))
        self._tilts = figure.add_axes((0.68, 0.57, 0.29, 0.33))
        self._frames = figure.add_axes((0.52, 0.1, 0.45, 0.32))
        for ax in (self._tilts, self._frames):
            ax.text(0.5, 0.5, "click into the map", ha="center", va="center", color="0.5")
            ax.set_axis_off()
        self.background.cancel()
        if is_slice:
            self._draw_slice()
        else:
            self._draw_projection()
        self.canvas.draw_idle()

    @checked()
    def click(self, horizontal: float, vertical: float) -> None:
        """Look behind a place of the map, given in the units of its axes (µm), and mark it."""
        self._mark_at(horizontal, vertical)
        if self.shown.value == "slice":
            self.pick_voxel(self._voxel_at(horizontal, vertical))
        else:
            rows, cols = self.store.shape[2:]
            height, width = self._pixel_um
            col, down = int(horizontal / width), int(vertical / height)
            self.pick_pixel(int(np.clip(rows - 1 - down, 0, rows - 1)), min(max(col, 0), cols - 1))

    @checked()
    def pick_pixel(self, row_pix: int, col_pix: int) -> None:
        """Show the (μ, γ) map of one pixel of the projection, and the frames that lit it."""
        read = self._projection()
        counts = read.frames[:, row_pix, col_pix]
        total = float(counts.sum())
        mean = (np.nan, np.nan)
        if total > 0:
            mu, gamma = np.nan_to_num(read.mu_deg), np.nan_to_num(read.gamma_deg)
            mean = (float(mu @ counts / total), float(gamma @ counts / total))
        illuminated = np.flatnonzero(counts > 0)
        frames = illuminated.tolist()
        self._picked = {"pixel": (row_pix, col_pix), "mean_deg": mean, "frames": frames}
        self._draw_pixel_map(counts, mean, f"counts at row {row_pix}, column {col_pix}")
        self._frames.clear()
        draw_illuminated_frames(self._frames, counts, f"{illuminated.size} frames lit it")
        self.canvas.draw_idle()
        self.tell(
            f"row {row_pix}, column {col_pix}: mean μ = {mean[0]:.4f}°, γ = {mean[1]:.4f}°; lit by "
            f"frames {listed([*map(str, frames)], 12) or 'none'}"
        )

    @checked()
    def pick_voxel(self, voxel: tuple[int, int, int], *, delay_s: float = 0.0) -> None:
        """Look, in the background, at the (a, b) map of one voxel and at the frames that lit it.

        `delay_s`: how long to hold back.
        """
        assert self.grain is not None
        point = self.grain.volume.centre_um(voxel)
        self._picked = {"voxel": voxel, "point_um": point}
        self.tell(f"voxel {voxel}: looking at all projections ...")
        self.background.start(self._look(point), self._show_voxel, delay_s=delay_s)

    def _look(self, point_um: Any) -> Iterator[VoxelEvidence]:
        assert self.grain is not None
        assert self.experiment is not None
        model = model_of(self.grain, self.store, self.experiment)
        yield from look_at_voxel(model, voxel_bins(model), point_um)

    def _show_voxel(self, evidence: VoxelEvidence) -> None:
        seen, all_of_them = evidence.omega_deg.size, self.store.shape[0]
        mean = evidence.mean_deg
        self._picked |= {"mean_deg": mean, "evidence": evidence}
        self.tell(
            f"voxel {self._picked['voxel']}: a = {mean[0]:.4f}°, b = {mean[1]:.4f}° "
            f"({seen} of {all_of_them} projections)"
        )
        if seen % 8 and seen != all_of_them:
            return
        for ax in (self._tilts, self._frames):
            ax.clear()
            ax.set_axis_on()
        bins = evidence.bins
        draw_tilt_map(
            self._tilts, evidence.tilts, ("a", bins.a_deg), ("b", bins.b_deg), "backprojected"
        )
        mark_tilt(self._tilts, mean)
        draw_illuminated_projections(self._frames, evidence, "counts where the voxel falls")
        self.canvas.draw_idle()

    def _draw_projection(self) -> None:
        read = self._projection()
        total, mean_mu, mean_gamma = projection_moments(read.frames, read.mu_deg, read.gamma_deg)
        lit = illuminated(total)
        range_deg, center = orientation_range(mean_mu[lit], mean_gamma[lit])
        _, wide, high, _ = image_extent(total.shape, self._pixel_um)
        extent = (0.0, wide, 0.0, high)
        draw_mosaicity(self.ax, mean_mu, mean_gamma, extent, range_deg, lit, center)
        self.ax.set_title(f"ω = {read.omega_deg:.2f}°", fontsize=TEXT_SIZE + 1)
        draw_color_key(self._key, range_deg, ("μ (°)", "γ (°)"), center)
        row_pix, col_pix = (int(n) for n in np.unravel_index(total.argmax(), total.shape))
        height, width = self._pixel_um
        self._mark_at((col_pix + 0.5) * width, (total.shape[0] - row_pix - 0.5) * height)
        self.pick_pixel(row_pix, col_pix)

    def _draw_slice(self) -> None:
        assert self.grain is not None
        axis, index = self.axis.value, self.index.value
        tilts = np.moveaxis(self.grain.orientation, -1, 0)
        range_deg, center = orientation_range(*tilts)
        draw_slice(self.ax, self.grain, axis, index, range_deg=range_deg, center_deg=center)
        name_cut(self.ax, self.grain.volume, axis, index, TEXT_SIZE + 1)
        draw_color_key(self._key, range_deg, center_deg=center)
        number = "xyz".index(axis)
        inside = np.argwhere(self.grain.mask)
        inside = inside[inside[:, number] == index]
        if inside.size:
            middle = inside[np.abs(inside - inside.mean(axis=0)).sum(axis=1).argmin()]
            voxel = (int(middle[0]), int(middle[1]), int(middle[2]))
            shown = ["xyz".index(name) for name in SHOWN_AXES[axis]]
            self._mark_at(*(float(self.grain.volume.axis_um(n)[voxel[n]]) for n in shown))
            self.pick_voxel(voxel, delay_s=PAUSE_S)

    def _mark_at(self, horizontal: float, vertical: float) -> None:
        if self._mark is not None:
            self._mark.remove()
        (self._mark,) = self.ax.plot(
            [horizontal], [vertical], "o", ms=9, mfc="none", mec="black", mew=1.5, scalex=False
        )

    def _draw_pixel_map(self, counts: Any, mean: tuple[float, float], title: str) -> None:
        self._tilts.clear()
        self._tilts.set_axis_on()
        self._frames.set_axis_on()
        axes = self.store.axes
        if len(axes) == 2:
            # Readings of the base tilt are far from zero: μ counts from the middle of the scan.
            is_mu = axes[0].name == "mu"
            first = axes[0].values_deg - (self.store.origin.base_tilt_deg if is_mu else 0)
            second = (axes[1].name, axes[1].values_deg)
            image = counts.reshape([axis.values_deg.size for axis in axes])
            draw_tilt_map(self._tilts, image, (axes[0].name, first), second, title)
            if is_mu and np.isfinite(mean).all():
                mark_tilt(self._tilts, mean)
            return
        draw_illuminated_frames(self._tilts, counts, title)
        brightest = setting_text("mu", float(self._projection().mu_deg[int(counts.argmax())]))
        self._tilts.set_title(f"{title}; brightest at {brightest}")

    def _projection(self) -> Projection:
        """The projection that the slider stands at; it is read once."""
        k = self.projection.value
        if self._read is None or self._read[0] != k:
            self._read = (k, self.store[k])
        return self._read[1]

    @property
    def _pixel_um(self) -> tuple[float, float]:
        """Height and width of a pixel of the frames."""
        rows, cols = self.store.binning
        known = self.experiment
        magnification = 1.0 if known is None else known.detector.magnification_pix_per_um
        return rows / magnification, cols / magnification

    def _voxel_at(self, horizontal: float, vertical: float) -> tuple[int, int, int]:
        assert self.grain is not None
        axis, volume = self.axis.value, self.grain.volume
        point = np.array(volume.position_um)
        point[["xyz".index(name) for name in SHOWN_AXES[axis]]] = horizontal, vertical
        x, y, z = np.clip(np.round(volume.places(point)), 0, np.array(volume.shape) - 1).astype(int)
        voxel = {"x": int(x), "y": int(y), "z": int(z)} | {axis: self.index.value}
        return voxel["x"], voxel["y"], voxel["z"]

    def _new_axis(self) -> None:
        if self.grain is not None:
            count = self.grain.volume.shape["xyz".index(self.axis.value)]
            self.index.max = count - 1
            self.index.value = count // 2
        self.attempt(self.refresh)

    def _pressed(self, event: MouseEvent) -> None:
        if event.inaxes is self.ax and event.xdata is not None and event.ydata is not None:
            self.attempt(self.click, event.xdata, event.ydata)
