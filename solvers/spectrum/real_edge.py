"""Edges on the real axis: beyond the range of L nothing needs a resolution, and within it corners of the resolved strip
are no part of the edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from solvers.spectrum.support import FINE, Gain, Support

SAME = 0.05
"""Shift of an edge, in resolutions, up to which the crossing on the real axis is taken to be the same edge."""


def without_resolution(gain: Gain, support: Support, reach: tuple[float, float] | None) -> Support:
    """Radius and abscissa at eta = 0 where they are met on the real axis beyond the real range of L (``reach``).

    The result has ``edge_eta`` = 0 if both are.  Within the range the gain is the same on a strip of height eta about
    the axis: a radius met there is that on the axis, not of the corners of the strip.
    """
    if support.eta == 0 or reach is None or support.radius is None or support.abscissa is None:
        return support
    radius = None
    for side, end in ((1.0, reach[1]), (-1.0, -reach[0])):
        radius = radius or _crossing(gain, support.radius, side, end, support.eta)
    abscissa = _crossing(gain, support.abscissa, 1.0, reach[1], support.eta)
    if radius is not None:
        support = replace(support, radius=radius[0], radius_error=radius[1])
    if abscissa is not None:
        support = replace(support, abscissa=abscissa[0], abscissa_error=abscissa[1])
    sharp = radius is not None and abscissa is not None and radius[2] == abscissa[2] == 0
    return replace(support, edge_eta=0.0) if sharp else support


def _crossing(gain: Gain, edge: float, side: float, end: float, eta: float) -> tuple[float, float, float] | None:
    """Where the gain is one at ``side`` times a number near ``edge``, its error, and the resolution."""
    low, high = edge - SAME * eta, edge + SAME * eta
    if not np.isfinite(end) or low <= end < high:
        return None
    height = 0.0 if low > end else eta

    def excess(x: float) -> float:
        return float(gain.log_radius(np.array([complex(side * x, height)]), FINE)[0][0])

    ends = excess(low), excess(high)
    if not ends[0] > 0 > ends[1]:
        return None
    root = float(brentq(excess, low, high, xtol=1e-15, rtol=1e-14))
    slope = abs(ends[0] - ends[1]) / (high - low)
    known = float(gain.log_radius(np.array([complex(side * root, height)]), FINE)[1][0])
    return root, (abs(excess(root)) + known) / slope + 1e-12 * abs(root), height
