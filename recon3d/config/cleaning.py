"""The settings of cleaning."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from recon3d.arguments import checked
from recon3d.config.declare import Declared, setting
from recon3d.errors import ParameterError

_MOST_PIXELS = 10**8
"""More pixels than any frame has; they are counted in 32 bits."""


@dataclass(frozen=True, repr=False)
class Cleaning(Declared):
    """How frames are cleaned; every step can be switched off.

    Counts and lengths are those of the detector's pixels, whether frames are binned or not.

    Examples
    --------
    >>> import recon3d as r3
    >>> r3.Cleaning(framebg=6, binth=12, min_region_pix=40).binth
    12.0
    """

    framebg: int | None = setting(
        None,
        "width of the rim of a frame that holds no signal; 0 for a grain that fills the frame (no "
        "frame background is then subtracted); - for what the data suggest",
        unit="pixels",
        bounds=f">= 0, <= {_MOST_PIXELS}",
    )
    binth: float | None = setting(
        None,
        "counts above which a pixel is signal; - for what the data suggest",
        unit="counts",
        bounds=">= 0",
    )
    min_region_pix: int = setting(
        100,
        "smallest lit region that is kept",
        key="min_region",
        unit="pixels",
        bounds=f">= 0, <= {_MOST_PIXELS}",
        option="--min-region",
        metavar="PIX",
    )
    dark: bool = setting(
        True, "subtract the mean of the two weakest frames of each projection", option="--no-dark"
    )
    hot_pixels: float = setting(
        8.0,
        "a pixel is hot where it exceeds its neighbours' median by this many standard deviations "
        "of the counting noise, and stands alone; 0 for none",
        unit="standard deviations",
        bounds=">= 0",
        option="--hot-pixels",
        metavar="SIGMA",
    )
    hot_limit: float | None = setting(
        None,
        "counts above the dark frame from which on a pixel is hot in any case",
        unit="counts",
        bounds="> 0",
        option="--hot-limit",
        metavar="COUNTS",
    )
    normalize: str = setting(
        "auto",
        "current divides by the ring current, total brings every projection to the same total, "
        "auto takes the current where it is recorded, none leaves the counts",
        choices=("auto", "current", "total", "none"),
        option="--normalize",
    )
    close_radius_pix: int = setting(
        1,
        "radius of the disk that closes the mask; 0 for none",
        key="close_radius",
        unit="pixels",
        bounds=">= 0, <= 50",
        option="--close-radius",
        metavar="PIX",
    )
    fill_holes: bool = setting(True, "fill the holes of the mask", option="--keep-holes")

    @property
    def chosen(self) -> tuple[int, float]:
        """`framebg` and `binth`; a ParameterError where one of them is None."""
        if self.framebg is None or self.binth is None:
            raise ParameterError(
                f"framebg is {self.framebg} and binth is {self.binth}: frames are cleaned when "
                "both are known; recon3d.suggest(scan) finds them"
            )
        return int(self.framebg), float(self.binth)

    @checked(rows=">= 1", cols=">= 1")
    def for_bins(self, rows: int, cols: int) -> Cleaning:
        """The same cleaning of frames of which `rows` x `cols` pixels were summed to one.

        Counts are multiplied by the pixels of a bin and areas divided by them, upwards to a
        whole number; a length is divided by the longer edge of a bin. `framebg` is rounded
        down, so that the rim holds no more than it did.
        """
        if rows * cols == 1:
            return self
        pixels, edge = rows * cols, max(rows, cols)
        return replace(
            self,
            framebg=max(int(self.framebg) // edge, 1) if self.framebg else self.framebg,
            binth=None if self.binth is None else self.binth * pixels,
            min_region_pix=math.ceil(self.min_region_pix / pixels),
            hot_limit=None if self.hot_limit is None else self.hot_limit * pixels,
            close_radius_pix=math.ceil(self.close_radius_pix / edge),
        )
