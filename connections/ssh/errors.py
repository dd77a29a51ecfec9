"""How a log-in, a command or a session on a machine fails."""

from core import cleaner

# Characters of a sentence, and of a fingerprint or the name of an algorithm.
LONGEST_DETAIL, LONGEST_KEY_WORDS = 500, 100


class ConnectError(Exception):
    """No session: `reason` is one of `connections.models.Reason`, `detail` a sentence."""

    def __init__(
        self, reason: str, detail: str, offered_host_key: str = "", host_key_type: str = ""
    ) -> None:
        # Some of it are words of the machine.
        self.reason = reason
        self.detail = cleaner.line(detail, LONGEST_DETAIL)
        self.offered_host_key = cleaner.line(offered_host_key, LONGEST_KEY_WORDS)
        self.host_key_type = cleaner.line(host_key_type, LONGEST_KEY_WORDS)
        super().__init__(f"{reason}: {self.detail}")


class SessionLost(Exception):
    """The session ended, or does not answer any more and was closed."""


class StoodStill(SessionLost):
    """The session was closed because nothing moved on it any more."""


class SentTooMuch(SessionLost):
    """The machine answered with more than there can be; nothing more was asked of it."""


class CommandTimeout(Exception):
    """The command did not end within its deadline; its channel was closed."""
