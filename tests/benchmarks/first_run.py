"""Call every compiled loop of a job once, on almost nothing."""

import numpy as np
from bench_iteration import fit_seconds
from bench_kernels import backprojection_rows
from clean_frames import CLEANING, make_projection
from memory_scan import ball_points, ball_scan

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import work_on_projection

raw = make_projection(4, 60)
given = (Calibration.none((60, 60)), Normalizer(CLEANING.normalize))
work_on_projection(raw, np.ones(4, bool), np.full(4, 200.0), CLEANING, *given)
backprojection_rows(6, 4, 24, 6, 2)
points = ball_points(6, 8.0)
scan = ball_scan(points, 6, 4, 24, 8.0)
fit_seconds(scan, points, 4)
