"""`manage.py restore FILE`: the database as it was when FILE was written."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dgxsite.up import database_copy
from dgxsite.up.console import Console
from dgxsite.up.servers import CannotStart
from dgxsite.up.supervisor import Failed

_WHAT_IS_BACK = (
    "Everybody logs in again and makes new tokens. Passwords, roles, second factors and machines' "
    "credentials are those of the backup: look whether somebody is back who was removed since."
)


class Command(BaseCommand):
    help = "Replace the whole database by what FILE holds. The site must not be running."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        source: Path = options["file"]
        if not source.is_file():
            raise CommandError(f"{source}: no such file")
        try:
            with database_copy.database(Console(descriptor=2)):
                ended = database_copy.read(source)
        except (CannotStart, Failed, OSError) as error:
            raise CommandError(str(error)) from error
        except (database_copy.CopyFailed, database_copy.KeepersAlive) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("restored; the next start brings the tables up to date")
        found = ", ".join(f"{count} {words}" for words, count in ended.items() if count)
        self.stdout.write(f"ended with it: {found or 'nothing'}")
        self.stdout.write(_WHAT_IS_BACK)
