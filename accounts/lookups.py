"""Which lookups the address of a list in Django's admin may name.

Django lets whoever sees a list filter it by any of its columns in any way, and so spell out row by
row what no page shows: `?config__api_key__startswith=a`. Here an address may name what the list
offers as a filter, its dates, and the row's key. No field says `limit_choices_to`, by which the
pop-ups of Django would filter; `tests/access/test_back_office.py` says so if one comes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest

if TYPE_CHECKING:
    _Editor = admin.ModelAdmin[Any]


def is_offered(editor: "_Editor", lookup: str, request: HttpRequest) -> bool:
    """Whether what the lookup looks at is on offer; how it compares does not matter then."""
    model = editor.model
    names = [model._meta.pk.name, *filter(None, [editor.date_hierarchy])]
    for one in editor.get_list_filter(request):
        if isinstance(one, type) and issubclass(one, admin.SimpleListFilter):
            if lookup == one.parameter_name:
                return True
        else:
            names.append(str(one[0] if isinstance(one, (list, tuple)) else one))
    return fields_of(model, lookup) in {path for name in names for path in _paths(model, name)}


def fields_of(model: type[Model], lookup: str) -> tuple[str, ...]:
    """The fields that a lookup goes through; what follows after them says how to compare."""
    found: list[str] = []
    at: Any = model
    for part in lookup.split(LOOKUP_SEP):
        if at is None:
            break
        try:
            # `pk` is another name, which may lead on: a queue's key is its machine.
            field: Any = at._meta.pk if part == "pk" else at._meta.get_field(part)
        except FieldDoesNotExist:
            break
        found.append(field.name)
        at = field.related_model
    return tuple(found)


def _paths(model: type[Model], name: str) -> Iterator[tuple[str, ...]]:
    """The field itself; a related row is asked for by its key: `team__id__exact`."""
    path = fields_of(model, name)
    yield path
    by_key = fields_of(model, f"{name}{LOOKUP_SEP}pk")
    if len(by_key) == len(path) + 1:
        yield by_key
