"""`manage.py backup FILE`: the database, never together with the keys."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dgxsite.up import database_copy
from dgxsite.up.console import Console
from dgxsite.up.servers import CannotStart
from dgxsite.up.supervisor import Failed


class Command(BaseCommand):
    help = "Write the whole database into FILE (mode 0600). The keys are not in it: keep them too."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["file"]
        try:
            with database_copy.database(Console(descriptor=2)):
                database_copy.write(target)
        except (CannotStart, Failed, OSError, database_copy.CopyFailed) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{target}: {target.stat().st_size} bytes")
