"""How one person wants to see the site: time zone, density, shortcuts, and their own machine.

Kept on the server, so that every browser of the person looks the same. Who has chosen nothing has
the defaults of the model and no row.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.auth.callers import is_api
from accounts.models import Preference, User
from core.errors import Invalid

Handler = Callable[[HttpRequest], HttpResponse]

FIELDS = (
    "time_zone",
    "density",
    "default_range",
    "shortcuts",
    "this_machine",
    "this_machine_address",
)
# Nothing but this may reach a header: the address becomes a source of the page's policy.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?")


def of(user: User | AnonymousUser) -> Preference:
    """The person's choices, read once per user object; the defaults for everybody else."""
    if not isinstance(user, User):
        return Preference()
    try:
        return user.preference
    except Preference.DoesNotExist:
        return Preference(user=user)


@cache
def zone_names() -> frozenset[str]:
    """Every time zone of this machine: Python walks through hundreds of files to find them."""
    return frozenset(available_timezones())


def zone_of(user: User | AnonymousUser) -> ZoneInfo:
    """The person's one time zone, for what they see and for when it is quiet for them."""
    wanted = of(user).time_zone
    return ZoneInfo(wanted if wanted in zone_names() else "UTC")


def change(user: User, names: tuple[str, str], wishes: Mapping[str, Any]) -> Preference:
    """Keep the person's first and last name and the choices that are named; raises `Invalid`."""
    unknown = set(wishes) - set(FIELDS)
    assert not unknown, unknown
    fields = dict(wishes)
    if fields.get("time_zone", "UTC") not in zone_names():
        raise Invalid.field("time_zone", "There is no such time zone.")
    if "this_machine_address" in fields:
        fields["this_machine_address"] = origin(fields["this_machine_address"])
    with transaction.atomic():
        user.first_name, user.last_name = names
        user.save(update_fields=["first_name", "last_name"])
        return Preference.objects.update_or_create(user=user, defaults=fields)[0]


def origin(text: str) -> str:
    """`https://host:port` in its one spelling, "" for none; `Invalid` for anything else."""
    wanted = text.strip().rstrip("/").lower()
    if not wanted:
        return ""
    try:
        is_right = _ORIGIN.fullmatch(wanted) is not None and urlsplit(wanted).port != 0
    except ValueError:
        is_right = False  # a port above 65535, or brackets around no address
    if not is_right:
        raise Invalid.field(
            "this_machine_address", "Write it as https://host or https://host:port, with no path."
        )
    return wanted


class OwnTimeZone:
    """Pages show every moment in the person's time zone; the API always speaks UTC."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with _zone(request):
            return self.get_response(request)


def _zone(request: HttpRequest) -> AbstractContextManager[Any]:
    if is_api(request):
        return nullcontext()
    try:
        # The lazy user of the request is looked up here; views need it anyway.
        return timezone.override(zone_of(request.user))
    except (OperationalError, InterfaceError):
        return nullcontext()  # the view will say that the database is down
