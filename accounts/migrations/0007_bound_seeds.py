"""Links by mail count from a moment on; seeds of second factors are bound to their person.

A seed that no key opens stays as it is; `manage.py rotate_keys` names it.
"""

from typing import Any

import django.utils.timezone
from django.db import migrations, models

from core.security import crypto

_BEFORE = "mfa.authenticator"
_SECRETS = ("secret", "seed")


def _bound(row: Any, name: str) -> str:
    return f"{_BEFORE}/{row.user_id}/{row.type}/{name}"


def bind(apps: Any, schema_editor: Any) -> None:
    _seal_anew(apps, lambda row, name: _BEFORE, _bound)


def unbind(apps: Any, schema_editor: Any) -> None:
    _seal_anew(apps, _bound, lambda row, name: _BEFORE)


def _seal_anew(apps: Any, old: Any, new: Any) -> None:
    rows = apps.get_model("mfa", "Authenticator").objects
    for row in rows.select_for_update():
        for name in _SECRETS:
            if not isinstance(row.data.get(name), str):
                continue
            try:
                text = crypto.decrypt(row.data[name], old(row, name))
            except crypto.SecretUnreadable:
                continue
            row.data[name] = crypto.encrypt(text, new(row, name))
        rows.filter(pk=row.pk).update(data=row.data)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_given_rights"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="links_from",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.RunPython(bind, unbind),
    ]
