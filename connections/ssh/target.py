"""Where a log-in leads and what opens it, as plain values."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in: exactly one of the three is used. Never printed."""

    private_key: str | None = field(default=None, repr=False)  # without a passphrase
    password: str | None = field(default=None, repr=False)
    agent: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A machine to log in to. `address` is the pinned IP; empty behind a jump host."""

    hostname: str
    port: int
    username: str
    credentials: Credentials
    address: str = ""
    host_key: str = ""
    host_key_type: str = ""
    jump: "Target | None" = None
