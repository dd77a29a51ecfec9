"""`manage.py rotate_keys`: re-encrypt stored secrets under the first of DGX_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import idempotency, second_factor
from connections import rotation
from jobs import rotation as jobs
from notifications import rotation as channels


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret under the newest key (the first of DGX_ENCRYPTION_KEYS). "
        "The site may go on running; afterwards the old keys can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotated, unreadable = rotation.rotate_all()
        seeds, lost = second_factor.rotate_all()
        addresses, closed = channels.rotate_all()
        variables, shut = jobs.rotate_all()
        dropped = idempotency.forget_all()
        total = rotated + seeds + addresses + variables
        self.stdout.write(f"{total} secrets rotated, {dropped} kept answers dropped")
        if unreadable or lost or closed or shut:
            raise CommandError(
                f"{unreadable} machines, {lost} second factors, {closed} channels and {shut} jobs "
                "have a secret that no key opens"
            )
