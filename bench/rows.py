"""A program: bring the bench's own database up to date with a `fleet.json`, every machine wished.

Prints the secret of a token that may read them. It deletes what was there: the database belongs to
the bench alone, which is why it insists on one below a temporary directory.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402 (the rest needs the apps)
from django.utils import timezone  # noqa: E402

from accounts.models import ApiToken, Membership, Team, User  # noqa: E402
from connections.models import Connection  # noqa: E402
from dgxsite.up import preparation  # noqa: E402


def seed(fleet: Path) -> str:
    preparation.migrate()
    preparation.ensure_partitions(timezone.now().date())
    Connection.objects.all().delete()
    team = Team.default()
    Connection.objects.bulk_create(
        _row(machine, team) for machine in json.loads(fleet.read_text("utf-8"))["machines"]
    )
    user, _ = User.objects.get_or_create(username="bench")
    Membership.objects.get_or_create(user=user, team=team)
    return ApiToken.issue(user, "bench")[1]


def _row(machine: dict[str, Any], team: Team) -> Connection:
    row = Connection(
        team=team,
        name=machine["name"],
        hostname=machine["hostname"],
        port=machine["port"],
        username=machine["username"],
        host_key=machine["host_key_fingerprint"],
        is_active=True,
    )
    row.set_secret("private_key", Path(machine["private_key_path"]).read_text("ascii"))
    return row


if __name__ == "__main__":
    temporary = Path(tempfile.gettempdir()).resolve()
    assert temporary in settings.DATA_DIR.parents, "not the database of a bench"
    assert settings.EMBEDDED_DATABASE, "not the database of a bench"
    print(seed(Path(sys.argv[1])))
