"""`manage.py create_token USER --name NAME`: prints a new API token, alone, on stdout."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, Scope, User


class Command(BaseCommand):
    help = "Make an API token for a user and print it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--name", required=True)
        parser.add_argument("--scope", choices=Scope.values, default=Scope.READ)
        parser.add_argument("--days", type=int, help="days until it expires; never, if not given")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"there is no user {options['user']!r}")
        days = options["days"]
        if days is not None and not 1 <= days <= 3650:
            raise CommandError("--days is from 1 to 3650")
        with transaction.atomic():
            audit.record(None, "token.create", user, name=options["name"], scope=options["scope"])
            _, secret = ApiToken.issue(user, options["name"][:100], options["scope"], days)
        self.stdout.write(secret)
