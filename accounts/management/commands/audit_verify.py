"""`manage.py audit_verify`: whether the audit trail is as the site wrote it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import audit


class Command(BaseCommand):
    help = "Check the chain of the audit trail; names altered, removed and inserted rows."

    def handle(self, *args: Any, **options: Any) -> None:
        # One turn: nobody adds a row between the reading of the rows and of their end.
        with transaction.atomic():
            audit.take_turn()
            count, findings = audit.verify()
        for finding in findings:
            self.stderr.write(f"row {finding.row_id}: {finding.problem}")
        if findings:
            raise CommandError(f"the audit trail was tampered with: {len(findings)} findings")
        self.stdout.write(f"{count} rows, the chain holds")
