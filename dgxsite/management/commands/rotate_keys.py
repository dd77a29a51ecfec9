"""`manage.py rotate_keys`: re-encrypt stored secrets under the first of DGX_ENCRYPTION_KEYS."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.auth import idempotency, mfa
from connections import key_rotation as connections
from core.security.key_rotation import Rotated
from jobs import key_rotation as jobs
from notifications import rotation as channels

_PARTS: dict[str, Callable[[], Rotated]] = {
    "machines": connections.rotate_all,
    "second factors": mfa.rotate_all,
    "channels": channels.rotate_all,
    "jobs": jobs.rotate_all,
}


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret under the newest key (the first of DGX_ENCRYPTION_KEYS). "
        "The site may go on running; afterwards the old keys can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Whatever a key opens is rotated; what none opens is named, and the status is 1."""
        found = {words: rotate() for words, rotate in _PARTS.items()}
        dropped = idempotency.forget_all()
        total = sum(one.count for one in found.values())
        self.stdout.write(f"{total} secrets rotated, {dropped} kept answers dropped")
        lost = [line for one in found.values() for line in one.lines()]
        if lost:
            counts = [f"{len(one.unreadable)} {words}" for words, one in found.items()]
            named = ", ".join(counts[:-1]) + f" and {counts[-1]}"
            lines = "\n".join(lost)
            raise CommandError(f"{named} have a secret that no key opens:\n{lines}")
