"""Signals as at a terminal, for the suite and for every process that it starts."""

import signal
from typing import Any

# Ignored by a shell that starts something in the background, by `nohup`, and then by each child.
_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGHUP: signal.SIG_DFL,
}


def restore_defaults() -> None:
    """Ignore nothing that whoever started us made us ignore."""
    for number, action in _DEFAULTS.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, action)
