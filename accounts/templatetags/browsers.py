"""A browser in words that its owner recognises, in place of what it says about itself."""

from django import template

register = template.Library()

# The first that fits: most browsers also claim to be Chrome, Safari or both.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
# Android names Linux too, and an iPhone a Mac.
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@register.filter
def browser(user_agent: str) -> str:
    """`Firefox on Windows`; what it says itself, cut, for one that nobody has heard of."""
    found = [_first(table, user_agent) for table in (_BROWSERS, _SYSTEMS)]
    return " on ".join(name for name in found if name) or user_agent[:60] or "Unknown browser"


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for mark, name in table if mark in text), "")
