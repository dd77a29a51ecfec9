"""`manage.py prepare`: what must be true before the processes start, where `up` is not used."""

import os
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from dgxsite.up import preparation


class Command(BaseCommand):
    help = "Apply migrations, make partitions and the first rows; run once before the processes."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        with preparation.turn():
            applied = preparation.migrate()
            preparation.ensure_partitions(datetime.now(UTC).date())
            token = preparation.first_rows(is_demo=settings.DEMO)
        if os.access(settings.STATIC_ROOT, os.W_OK):  # an image has them already, read-only
            preparation.collect_static_files()
        self.stdout.write(f"applied {applied} migrations")
        if token is not None:
            base = settings.BASE_URL or "http://localhost:8000"
            self.stdout.write(f"First administrator: open {base}/setup/{token} once")
