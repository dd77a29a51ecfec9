"""Template filters and a tag for readings: the functions of `core.formats`, and the graphics'
geometry."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import formats
from core.times import iso

register = template.Library()

# An empty row, the model for the rows that the browser adds, has "" where a reading would be.
_FILTERS: dict[str, Callable[[float | None], str]] = {
    "size": formats.size,
    "rate": formats.rate,
    "duration": formats.duration,
    "level": formats.level,
    "percent": lambda value: formats.quantity(value, "%"),
    "celsius": lambda value: formats.quantity(value, "°C"),
    "watts": lambda value: formats.quantity(value, "W"),
}


def _register(name: str, function: Callable[[float | None], str]) -> None:
    register.filter(name, lambda value: function(None if value == "" else value))


for _name, _function in _FILTERS.items():
    _register(_name, _function)


@register.filter
def of(used: float | None, total: float | None) -> str:
    """`81.4 / 119.7 GiB`."""
    return formats.size_pair(used, total)


@register.filter
def within(value: float | None) -> str:
    """A percentage as an SVG length: 0 when absent, never outside 0-100."""
    return f"{_clamped(value or 0.0):.1f}"


def _clamped(value: float) -> float:
    return min(100.0, max(0.0, value))


@register.filter
def tall(value: float | None, height: float) -> str:
    """The height of a bar of at most `height`; a reading of zero keeps a visible foot."""
    return "0" if value is None else f"{max(height * 0.06, _clamped(value) * height / 100):.2f}"


@register.filter
def above(value: float | None, height: float) -> str:
    """The room above that bar."""
    return f"{height - float(tall(value, height)):.2f}"


@register.filter
def ago(moment: datetime | None) -> str:
    """`5 s ago`; `static/js/format.js` keeps it current."""
    if moment is None:
        return "never"
    age = timezone.now() - moment
    if age < timedelta(seconds=2):
        return "now"
    return f"{formats.duration(age.total_seconds()).split(' ')[0]} ago"


@register.filter
def moment(value: str | datetime | None) -> datetime | None:
    """An ISO 8601 time of a sample as a datetime."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value)


@register.filter
def utc(value: datetime | None) -> str:
    """For `datetime` attributes and scripts: ISO 8601 in UTC, whatever the page shows."""
    return (iso(value) if value else None) or ""


@register.filter
def stamp(value: datetime | None) -> str:
    """For people: `2026-11-20 14:05:09 CET`, in the time zone that they have chosen."""
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S %Z") if value else ""


@register.simple_tag
def time_ago(value: datetime | None, css: str = "") -> SafeString:
    """How long ago it was, which the browser keeps current, with the moment itself as its title."""
    return format_html(
        '<time data-ago{} datetime="{}" title="{}">{}</time>',
        format_html(' class="{}"', css) if css else "",
        utc(value),
        stamp(value),
        ago(value),
    )
