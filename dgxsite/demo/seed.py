"""The demo: what `manage.py up --demo` puts into its own database, from people to jobs.

The machines are the simulator's, described by its `fleet.json`; each start brings the rows in line
with that file. Passwords are random and belong to one data directory.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import Membership, Role, Team, User
from connections.models import AuthMethod, Connection
from dgxsite.demo import jobs, projects

TAG = "simulated"
_PEOPLE = {"admin": Role.ADMINISTRATOR, "operator": Role.OPERATOR, "viewer": Role.VIEWER}


def seed(fleet: Path) -> dict[str, str]:
    """Make what is missing and adjust what changed; the passwords of the people it made."""
    machines = json.loads(fleet.read_text(encoding="utf-8"))["machines"]
    with transaction.atomic():
        team = Team.default()
        passwords = {name: _make_person(name, role, team) for name, role in _PEOPLE.items()}
        for machine in machines:
            _bring_in_line(machine, team)
        projects.seed(team)
        jobs.seed(team)
    return {name: password for name, password in passwords.items() if password is not None}


def keep_logins(data_dir: Path, logins: dict[str, str]) -> Path:
    """Keep new passwords in a file of mode 0600; its path."""
    path = data_dir / "demo-logins.txt"
    if logins:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(f"{name} {password}\n" for name, password in logins.items())
    return path


def _make_person(name: str, role: Role, team: Team) -> str | None:
    """The new person's password; None if the person is there already."""
    if User.objects.filter(username=name).exists():
        return None
    password = secrets.token_urlsafe(9)
    is_administrator = role == Role.ADMINISTRATOR
    user = User.objects.create_user(
        name, password=password, is_superuser=is_administrator, is_staff=is_administrator
    )
    Membership.objects.create(team=team, user=user, role=role)
    return password


def _bring_in_line(machine: dict[str, Any], team: Team) -> None:
    row = Connection.objects.filter(team=team, name=machine["name"]).first()
    is_new = row is None
    row = row or Connection(team=team, name=machine["name"], is_active=True, tags=[TAG])
    wanted = {
        "hostname": machine["hostname"],
        "port": machine["port"],
        "username": machine["username"],
        "host_key": machine["host_key_fingerprint"],
        "host_key_type": machine["host_key_line"].split()[0],
        "auth_method": AuthMethod.KEY,
    }
    key = Path(machine["private_key_path"]).read_text(encoding="ascii")
    if not is_new and _is_same(row, wanted, key):
        return
    for name, value in wanted.items():
        setattr(row, name, value)
    row.set_secret("private_key", key)
    row.save()
    if is_new:
        audit.record(None, "connection.create", row)
    else:
        row.session_changed()


def _is_same(row: Connection, wanted: dict[str, Any], key: str) -> bool:
    has_fields = all(getattr(row, name) == value for name, value in wanted.items())
    return has_fields and row.secret("private_key") == key
