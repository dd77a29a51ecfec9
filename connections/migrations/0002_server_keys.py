"""What a log-in may use is written down: the server's keys per team, the place per password.

Both begin with what is in use, so that every machine connects after the migration as before it.
"""

import hashlib
import json
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from core.security import crypto

_LONGEST_CHAIN = 4


def open_what_is_in_use(apps: Any, schema_editor: Any) -> None:
    """Key files and the SSH agent, of machines in the trash too: they may come back."""
    rows = apps.get_model("connections", "Connection").objects.filter(transport="ssh")
    used = {("", row.team_id) for row in rows.filter(auth_method="agent")}
    used |= {(row.ssh_key_path, row.team_id) for row in rows.exclude(ssh_key_path="")}
    entry = apps.get_model("connections", "ServerKey")
    entry.objects.bulk_create(entry(path=path, team_id=team) for path, team in sorted(used))


def bind_passwords(apps: Any, schema_editor: Any) -> None:
    """Encrypt each anew for where its row leads now; one that no key opens stays as it is."""
    for row in apps.get_model("connections", "Connection").objects.exclude(password_encrypted=""):
        context = f"connections.connection/{row.pk}/password"
        try:
            password = crypto.decrypt(row.password_encrypted, context)
        except crypto.SecretUnreadable:
            continue
        row.password_encrypted = crypto.encrypt(password, f"{context}/{_digest(row)}")
        row.save(update_fields=["password_encrypted"])


def unbind_passwords(apps: Any, schema_editor: Any) -> None:
    for row in apps.get_model("connections", "Connection").objects.exclude(password_encrypted=""):
        context = f"connections.connection/{row.pk}/password"
        try:
            password = crypto.decrypt(row.password_encrypted, f"{context}/{_digest(row)}")
        except crypto.SecretUnreadable:
            continue
        row.password_encrypted = crypto.encrypt(password, context)
        row.save(update_fields=["password_encrypted"])


def _digest(row: Any) -> str:
    """`connections.places.digest` as it was when this was written."""
    hops: list[list[Any]] = []
    while row is not None and len(hops) <= _LONGEST_CHAIN:
        hops.append([str(row.pk), row.hostname, row.port, row.username, row.host_key])
        row = row.jump_connection
    return hashlib.sha256(json.dumps(hops).encode()).hexdigest()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("connections", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ServerKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("path", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="server_keys",
                        to="accounts.team",
                    ),
                ),
            ],
            options={"ordering": ("team", "path")},
        ),
        migrations.AddConstraint(
            model_name="serverkey",
            constraint=models.UniqueConstraint(
                fields=("team", "path"), name="one_server_key_per_team"
            ),
        ),
        migrations.RunPython(open_what_is_in_use, migrations.RunPython.noop),
        migrations.RunPython(bind_passwords, unbind_passwords),
    ]
