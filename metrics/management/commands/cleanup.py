"""`manage.py cleanup [--dry-run]`: take away what the tiers of the history no longer keep, now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from metrics.history import retention, rollup


class Command(BaseCommand):
    help = "Remove history beyond its retention; hours and days are computed before."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell what would go")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        now = timezone.now()
        if not dry_run:
            rollup.roll_up(now)
        removed = retention.clean_up(now, dry_run=dry_run)
        for name in removed.partitions:
            self.stdout.write(name)
        self.stdout.write(f"{'would remove' if dry_run else 'removed'} {removed}")
