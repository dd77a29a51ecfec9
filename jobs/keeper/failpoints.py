"""Places at which a fault trial kills the process; nothing happens unless `DGX_FAIL_AT` names one.

The process dies as by `kill -9`, in the middle of what it does: nothing is tidied up.
"""

import os
import signal
import threading

from core.env import env_str


def reach(name: str) -> None:
    """Die here if this is the named place."""
    if env_str("DGX_FAIL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def soon(name: str, seconds: float) -> None:
    """Die `seconds` from now if this is the named place: in the middle of the call that follows."""
    if env_str("DGX_FAIL_AT") == name:
        threading.Timer(seconds, reach, [name]).start()
