"""Bring every secret of the site under the newest encryption key while it runs.

Each `EncryptedRow` is found by itself; an app whose secrets stand elsewhere adds its `Source`. Each
row is locked for its own short transaction, so a change by somebody else is neither lost nor held
up. A secret that no key opens stays as it is and is named, and so is a row that cannot be written;
neither stops the other secrets of its row nor other rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from django.apps import apps
from django.db import transaction
from django.db.models import Model, QuerySet

from core.background import isolation
from core.security import crypto
from core.security.crypto import SecretUnreadable
from core.security.encrypted_fields import SUFFIX, EncryptedRow, Sealed


class Source(NamedTuple):
    """A model whose rows hold secrets."""

    model: type[Model]
    # Those rows that hold any.
    rows: QuerySet[Any]
    # The ciphertexts of a row by name, and the columns that say them anew.
    sealed: Callable[[Any], Mapping[str, Sealed]]
    columns: Callable[[Any, Mapping[str, str]], Mapping[str, Any]]


@dataclass(slots=True)
class Rotated:
    """How many secrets were rotated, and which could not be read: row → names of its fields."""

    count: int = 0
    unreadable: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> Iterable[str]:
        """One line per secret: model, id and field."""
        for row, names in self.unreadable.items():
            yield from (f"{row} {name}" for name in names)


_added: dict[type[Model], Source] = {}


def add(source: Source) -> None:
    """Rotate these, too: secrets that stand in no column of their own."""
    _added[source.model] = source


def sources() -> dict[type[Model], Source]:
    """Everything that holds secrets."""
    found = [model for model in apps.get_models() if issubclass(model, EncryptedRow)]
    return {m: Source(m, m.with_secrets(), m.sealed, _as_they_are) for m in found} | _added


def rotate_all() -> dict[type[Model], Rotated]:
    """Every secret of the site, also of what is in the trash: it may come back."""
    return {model: rotate_rows(source) for model, source in sources().items()}


def rotate_rows(source: Source) -> Rotated:
    """The secrets of one model's rows."""
    found = Rotated()
    isolation.each(
        list(source.rows.order_by().values_list("pk", flat=True)),
        partial(_rotate_row, source, found),
        name=f"rotating the keys of {source.model._meta.label_lower}",
        failed=lambda key, _: _note(found, source, key, 0, ["not written"]),
        rests=False,
    )
    return found


def _rotate_row(source: Source, found: Rotated, key: Any) -> None:
    rows = source.model._base_manager.filter(pk=key)
    with transaction.atomic():
        row = rows.select_for_update().first()
        if row is None:
            return
        changed, lost = _rotate_each(source.sealed(row))
        if changed:
            # Not `save`: `updated_at` says when the row itself changed.
            rows.update(**source.columns(row, changed))
    _note(found, source, key, len(changed), lost)


def _rotate_each(sealed: Mapping[str, Sealed]) -> tuple[dict[str, str], list[str]]:
    """Each of these ciphertexts under the newest key, and the names of those that stay shut."""
    changed, lost = {}, []
    for name, (token, context) in sealed.items():
        try:
            changed[name] = crypto.rotate(token, context)
        except SecretUnreadable:
            lost.append(name.removesuffix(SUFFIX))
    return changed, lost


def _note(found: Rotated, source: Source, key: Any, count: int, lost: list[str]) -> None:
    found.count += count
    if lost:
        found.unreadable[f"{source.model._meta.label_lower} {key}"] = lost


def _as_they_are(row: Model, changed: Mapping[str, str]) -> Mapping[str, str]:
    return changed
