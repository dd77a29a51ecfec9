"""The keeper of this process: made when a Celery worker hears the tick, asked for by every tick."""

import gc

from django.conf import settings

from connections.keeper.keeper import Keeper

GC_THRESHOLDS = (7_000, 20, 20)

_current: Keeper | None = None


def current() -> Keeper | None:
    """The keeper of this process, if it is one."""
    return _current


def start() -> Keeper:
    """Make this process a keeper."""
    global _current
    # What is loaded by now stays; of what comes and goes every two seconds almost nothing is
    # circular, so looking for circles a tenth as often saves a twentieth of the keeper's time.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    _current = Keeper(holds_local=settings.HOLDS_LOCAL)
    _current.start()
    return _current


def stop() -> None:
    """Close every session and give the leases back."""
    global _current
    if _current is not None:
        _current.stop()
        _current = None
