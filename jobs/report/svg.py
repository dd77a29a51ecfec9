"""Small curves as SVG paths, drawn by the site, so that paper has them too. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from metrics.history.query import Span

WIDTH, HEIGHT = 600, 90
# Room for the line's own width at the top and at the bottom.
_MARGIN = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """One curve over the whole span; `low` and `high` are the ends of its scale as texts."""

    title: str
    unit: str
    path: str
    low: str
    high: str
    last: str

    @property
    def text(self) -> str:
        """The curve in words."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.title}: {self.low} to {self.high}{unit}, at the end {self.last}{unit}"


def draw(
    title: str,
    unit: str,
    span: Span,
    times: Sequence[datetime | None],
    values: Sequence[float | None],
) -> Picture | None:
    """A picture of values at times; None where there is none. What is absent lifts the pen."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return None
    low, high = min(known), max(known)
    path = _path(span, times, values, low, high)
    return Picture(title, unit, path, _shown(low), _shown(high), _shown(known[-1]))


def _path(
    span: Span,
    times: Sequence[datetime | None],
    values: Sequence[float | None],
    low: float,
    high: float,
) -> str:
    parts, is_down = [], False
    for at, value in zip(times, values, strict=True):
        is_known = at is not None and value is not None and math.isfinite(value)
        if at is not None and value is not None and is_known:
            parts.append(f"{'L' if is_down else 'M'}{_x(span, at)} {_y(value, low, high)}h.1")
        is_down = is_known
    return "".join(parts)


def _x(span: Span, at: datetime) -> str:
    share = (at - span.start) / (span.end - span.start) if span.end > span.start else 0.0
    return f"{WIDTH * min(1.0, max(0.0, share)):.1f}"


def _y(value: float, low: float, high: float) -> str:
    # Half each first: the difference of two large numbers may be infinite.
    reach = high / 2 - low / 2
    share = (value / 2 - low / 2) / reach if reach else 0.5
    return f"{HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * share:.1f}"


def _shown(value: float) -> str:
    return f"{value:.4g}"
