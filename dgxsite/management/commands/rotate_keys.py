"""`manage.py rotate_keys`: re-encrypt stored secrets under the first of DGX_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from accounts.auth import idempotency
from core.security import key_rotation

# What people call the rows, where it is not what the code does.
_WORDS = {"connections.connection": "machines", "mfa.authenticator": "second factors"}


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret under the newest key (the first of DGX_ENCRYPTION_KEYS). "
        "The site may go on running; afterwards the old keys can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Whatever a key opens is rotated; what none opens is named, and the status is 1."""
        found = {_words_of(model): one for model, one in key_rotation.rotate_all().items()}
        dropped = idempotency.forget_all()
        total = sum(one.count for one in found.values())
        self.stdout.write(f"{total} secrets rotated, {dropped} kept answers dropped")
        lost = [line for one in found.values() for line in one.lines()]
        if lost:
            counts = [f"{len(one.unreadable)} {words}" for words, one in found.items()]
            named = ", ".join(counts[:-1]) + f" and {counts[-1]}"
            lines = "\n".join(lost)
            raise CommandError(f"{named} have a secret that no key opens:\n{lines}")


def _words_of(model: type[Model]) -> str:
    return _WORDS.get(model._meta.label_lower, str(model._meta.verbose_name_plural))
