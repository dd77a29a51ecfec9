"""Fault trials: real keepers, real servers, real machines, and what goes wrong between them.

Without `DGX_CHAOS` every wait of the site is shortened (`SCALE`), the promises with it; with it
the trials run in real time and longer.
"""

import os

CHAOS = bool(os.environ.get("DGX_CHAOS"))
# What all waits of the site are multiplied with; the ratios between them stay.
SCALE = 1.0 if CHAOS else 0.25
INTERVAL = 2.0 * SCALE
TTL = 8.0 * SCALE
WINDOW = 20.0 * SCALE
# Logging in and starting programs cost time that no scale shortens, and in the short run the rest
# of the suite takes the processors.
_UNSCALED = 0.0 if CHAOS else 5.0
PATIENCE = 1.0 if CHAOS else 2.0


def promised(seconds: float) -> float:
    """A promise of so many seconds, as it is to be kept at this scale."""
    return seconds * SCALE + _UNSCALED
