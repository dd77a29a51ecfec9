"""Machines as clients send them, and one that is already there."""

from typing import Any

from connections.models import Connection
from tests import factories
from tests.api.conftest import World

FINGERPRINT = "SHA256:" + "A" * 43


def body(**fields: Any) -> dict[str, Any]:
    """A machine that is fine; a field given as ... is left out."""
    values = {
        "name": "spark",
        "hostname": "192.0.2.7",
        "username": "ml",
        "auth_method": "password",
        "password": "correct horse",
    } | fields
    return {name: value for name, value in values.items() if value is not ...}


def with_password(world: World) -> Connection:
    row = factories.make_connection(world.team, auth_method="password")
    row.set_secret("password", "secret")
    row.save()
    return row
