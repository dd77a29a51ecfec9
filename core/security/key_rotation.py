"""Bring the secrets of rows under the newest encryption key while the site runs.

Each row is locked for its own short transaction, so a change by somebody else is neither lost nor
held up. A secret that no key opens stays as it is and is named, and so is a row that cannot be
written; neither stops the other secrets of its row nor other rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from core.background import isolation
from core.security import crypto
from core.security.crypto import SecretUnreadable


@dataclass(slots=True)
class Rotated:
    """How many secrets were rotated, and which could not be read: row → names of its fields."""

    count: int = 0
    unreadable: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> Iterable[str]:
        """One line per secret: model, id and field."""
        for row, names in self.unreadable.items():
            yield from (f"{row} {name}" for name in names)


def rotate_rows(
    rows: QuerySet[Any], contexts_of: Callable[[Any], Mapping[str, str]], suffix: str = "_encrypted"
) -> Rotated:
    """Every row's secrets; `contexts_of` tells the context of each of its columns."""
    found = Rotated()

    def rotate(key: Any) -> None:
        with transaction.atomic():
            row = rows.model._base_manager.select_for_update().filter(pk=key).first()
            if row is None:
                return
            sealed = {name: getattr(row, name) for name in contexts_of(row)}
            changed, lost = rotate_each(sealed, contexts_of(row))
            if changed:
                # Not `save`: `updated_at` says when the row itself changed.
                rows.model._base_manager.filter(pk=key).update(**changed)
        note(found, key, rows.model, len(changed), [name.removesuffix(suffix) for name in lost])

    every(rows, rotate, found)
    return found


def every(rows: QuerySet[Any], rotate: Callable[[Any], None], found: Rotated) -> None:
    """`rotate` each primary key of `rows`; one that fails is named in `found`."""
    isolation.each(
        list(rows.order_by().values_list("pk", flat=True)),
        rotate,
        name=f"rotating the keys of {rows.model._meta.label_lower}",
        failed=lambda key, error: note(found, key, rows.model, 0, ["not written"]),
        rests=False,
    )


def rotate_each(
    sealed: Mapping[str, str], contexts: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Each of these ciphertexts under the newest key, and the names of those that stay shut."""
    changed, lost = {}, []
    for name, token in sealed.items():
        if not token:
            continue
        try:
            changed[name] = crypto.rotate(token, contexts[name])
        except SecretUnreadable:
            lost.append(name)
    return changed, lost


def note(found: Rotated, key: Any, model: type[Model], count: int, lost: list[str]) -> None:
    """Add what came of one row."""
    found.count += count
    if lost:
        found.unreadable[f"{model._meta.label_lower} {key}"] = lost
