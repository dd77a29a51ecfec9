"""The one door to a machine: sessions, commands, streams and files over SSH, each with a deadline.

Its modules are the only ones of the product that import Paramiko; what they give away of that is
`Sftp`, to `connections` alone.
"""

from connections.ssh.errors import (
    CommandTimeout,
    ConnectError,
    SentTooMuch,
    SessionLost,
    StoodStill,
)
from connections.ssh.login import HangUp, fingerprint, given_up, open_session, probe_host_key
from connections.ssh.session import STREAM_WINDOW_BYTES, CommandResult, Session
from connections.ssh.target import Credentials, Target

__all__ = [
    "STREAM_WINDOW_BYTES",
    "CommandResult",
    "CommandTimeout",
    "ConnectError",
    "Credentials",
    "HangUp",
    "SentTooMuch",
    "Session",
    "SessionLost",
    "StoodStill",
    "Target",
    "fingerprint",
    "given_up",
    "open_session",
    "probe_host_key",
]
