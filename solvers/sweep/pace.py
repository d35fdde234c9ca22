"""How far a sweep is, how fast, and how long it will take."""

from __future__ import annotations

import time

WIDTH = 24


class Pace:
    """Counts points; chunks that were there before count as done, not as speed."""

    def __init__(self, points: int) -> None:
        self.points = points
        self.before = self.now = 0
        self._start = time.monotonic()

    def begin(self, before: int) -> None:
        """Start the clock, with this many points in the store already."""
        self.before, self._start = before, time.monotonic()

    @property
    def rate(self) -> float:
        """Points per second of this run."""
        spent = time.monotonic() - self._start
        return self.now / spent if spent > 0 else 0.0

    def text(self) -> str:
        """A bar with the share that is done, the rate, and the time left."""
        done = self.before + self.now
        share = done / self.points if self.points else 1.0
        bar = "#" * int(WIDTH * share)
        left = f"{_clock((self.points - done) / self.rate)} left" if self.now else "time left not known yet"
        return f"[{bar:<{WIDTH}}] {100 * share:.1f} % of {self.points} points, {self.rate:.3g}/s, {left}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
