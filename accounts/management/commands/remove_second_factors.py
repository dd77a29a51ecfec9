"""`manage.py remove_second_factors USER`: let somebody in again who lost phone and passkeys."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import audit
from accounts.models import User


class Command(BaseCommand):
    help = "Take app, passkeys and recovery codes of a person away; the password stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        person = User.objects.filter(username=username).first()
        if person is None:
            raise CommandError(f"there is nobody called {username}")
        with transaction.atomic():
            audit.record(None, "second_factor.remove", person, kind="all")
            removed, _ = Authenticator.objects.filter(user=person).delete()
        self.stdout.write(f"{removed} second factors removed")
