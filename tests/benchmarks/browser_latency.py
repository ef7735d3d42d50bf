"""From a key on a slider to a new picture, and the film's pictures a second, in a browser.

    python tests/benchmarks/browser_latency.py [--pixels 512 2048] [--keys 12]

Frames of that size are written, voila serves 01_choose_roi and 02_tune_threshold, and Chromium
presses arrow keys. The time counts in the page, from the key to the first animation frame in which
the figure's canvas has other pixels: kernel, network and drawing are all in it. Then the film of
03_check_projections plays in a loop, and the pictures that are seen are counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from recon3d.cli.main import main as recon3d
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import Steps
from recon3d.simulate.writers.edf_scan import simulate_scan
from recon3d.widgets import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))
from conftest import FLAGS, serving

SLIDERS = {"01_choose_roi": "projection", "02_tune_threshold": "binth"}
KEYS = {"01_choose_roi": ("ArrowLeft", "ArrowRight"), "02_tune_threshold": ("PageUp", "PageDown")}
"""There and back: a single step of binth changes too few pixels to be seen."""

READY = {"01_choose_roi": "of the light falls outside", "02_tune_threshold": "signal is kept"}
LOOK = """
    const canvas = [...document.querySelectorAll('.jupyter-matplotlib-canvas-div canvas')]
        .filter(one => one.offsetParent)[0];
    const small = document.createElement('canvas');
    small.width = small.height = 128;
    const context = small.getContext('2d', {willReadFrequently: true});
    const look = () => {
        context.clearRect(0, 0, 128, 128);
        context.drawImage(canvas, 0, 0, 128, 128);
        const pixels = new Uint32Array(context.getImageData(0, 0, 128, 128).data.buffer);
        return pixels.reduce((sum, pixel) => (31 * sum + pixel) | 0, 0);
    };
"""
"""What the first figure shows, as a number; quickly, since it is looked at 60 times a second."""

WATCH = f"""() => {{ {LOOK}
    window.times = [];
    document.addEventListener('keydown', () => {{
        const before = look(), begun = performance.now();
        const poll = () => {{
            if (look() !== before) window.times.push(performance.now() - begun);
            else if (performance.now() - begun < 20000) requestAnimationFrame(poll);
        }};
        requestAnimationFrame(poll);
    }}, true);
}}"""
"""Note how long the first figure takes to change after every key."""

COUNT = f"""seconds => new Promise(done => {{ {LOOK}
    let shown = look(), changes = 0;
    const begun = performance.now();
    const poll = () => {{
        const now = look();
        changes += now !== shown;
        shown = now;
        const passed = 1e-3 * (performance.now() - begun);
        if (passed < seconds) requestAnimationFrame(poll);
        else done(changes / passed);
    }};
    requestAnimationFrame(poll);
}})"""
"""Count how often a second the first figure changes."""


def make_scan(folder: Path, pixels: int) -> None:
    """Four ω of 3 x 3 frames, `pixels` wide and high, and the folder's notebooks."""
    recon3d(["notebooks", str(folder)])
    plan = replace(
        demo_plan(),
        omega_deg=(0.0, 45.0, 90.0, 135.0),
        mu=Steps(0.064, 3),
        gamma=Steps(0.064, 3),
        rows=pixels,
        cols=pixels,
        magnification_pix_per_um=pixels / 20,
    )
    phantom = make_phantom(size_um=10.0, spread_deg=0.05, seed=4)
    simulate_scan(folder / "frames", phantom, plan, voxels=16, show_progress=False)
    origin = {"phi0": plan.phi0_deg, "chi0": plan.chi0_deg}
    chosen = {"framebg": 8, "binth": 12.0, "poi": (pixels // 2, pixels // 2)}
    chosen["imgsize"] = (pixels - 2, pixels - 2)
    settings = folder / "choices.ini"
    session = Session.start(folder / "frames", "topotomo_", settings=settings, **origin, **chosen)
    session.clean()


def press(page: Page, name: str, keys: int) -> list[float]:
    """Seconds from each key on a page's slider to the new picture."""
    slider = page.locator(".widget-slider", has_text=SLIDERS[name]).first
    handle = slider.locator(".noUi-handle")
    handle.focus()
    page.evaluate(WATCH)
    for number in range(keys):
        handle.press(KEYS[name][number % 2])
        page.wait_for_function("count => window.times.length >= count", arg=number + 1)
        page.wait_for_timeout(300)
    return [1e-3 * time for time in page.evaluate("() => window.times")]


def measure(pixels: int, keys: int) -> None:
    """Print median and worst time of every slider for one size of frames."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "notebooks"
        make_scan(folder, pixels)
        command = [sys.executable, "-m", "voila", str(folder), "--no-browser"]
        with serving(command, "voila/tree", folder) as address, sync_playwright() as driver:
            program = shutil.which("chromium") or shutil.which("google-chrome")
            browser = driver.chromium.launch(executable_path=program, args=FLAGS)
            for notebook, text in READY.items():
                page = browser.new_page(viewport={"width": 1280, "height": 1400})
                page.set_default_timeout(60_000)
                page.goto(f"{address}/voila/render/{notebook}.ipynb")
                page.get_by_text(text).first.wait_for()
                page.wait_for_timeout(3000)
                times = press(page, notebook, keys)
                load = os.getloadavg()[0]
                print(
                    f"{pixels:5d} {notebook:<18} {SLIDERS[notebook]:<11} median "
                    f"{np.median(times):.2f} s, worst {max(times):.2f} s (load {load:.1f})",
                    flush=True,
                )
                page.close()
            page = browser.new_page(viewport={"width": 1280, "height": 1400})
            page.set_default_timeout(120_000)
            page.goto(f"{address}/voila/render/03_check_projections.ipynb")
            film = page.locator(".widget-play")
            film.wait_for()
            page.wait_for_timeout(3000)
            buttons = film.locator("button")
            buttons.last.click()  # again and again
            buttons.first.click()
            rate = page.evaluate(COUNT, 10)
            load = os.getloadavg()[0]
            print(f"{pixels:5d} film: {rate:.1f} pictures a second (load {load:.1f})", flush=True)
            browser.close()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pixels", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--keys", type=int, default=12)
    chosen = parser.parse_args()
    for pixels in chosen.pixels:
        measure(pixels, chosen.keys)


if __name__ == "__main__":
    main()
