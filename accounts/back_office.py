"""Django's admin inside the policy: rows of one's own teams, with one's own rights.

Staff need Django's permission for a model *and* what the policy asks. A superuser sees everything,
staff who are none see the rows of their teams, change what their role lets them change, choose only
among what they see, and find nothing where a model belongs to no team. Each admin says how a row
leads to its team; `tests/access/test_back_office.py` walks them all.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from accounts import lookups
from accounts.auth.callers import caller_from_page
from accounts.models import Membership, Role, Team
from accounts.policy import forbidden, may, roles_from
from core.errors import NotFound, SiteError

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object


class Told(_Base):
    """What a service refuses is a sentence above the page, and nothing was changed.

    Django wraps the form's and the deletion's view in one transaction each. What a list shows is
    filtered only by what it offers.
    """

    # Whether the form or what saves it waits outside PostgreSQL (see `core/web/waiting.py`): for a
    # name server, a program, a machine. Its view is then in no transaction, so all that is written
    # has to be a service's, in its own; inlines and choices of several rows would stand alone.
    waits_outside = False

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = self._outside_transaction if self.waits_outside else super().changeform_view
        return self._told(request, view, *args, **kwargs)

    @method_decorator(csrf_protect)
    def _outside_transaction(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Django's `changeform_view` as it is, but for the transaction."""
        return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        is_offered = lookups.is_offered(self, lookup, request)
        return is_offered and super().lookup_allowed(lookup, value, request)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._told(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._told(request, super().changelist_view, *args, **kwargs)

    def _told(
        self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        try:
            return view(request, *args, **kwargs)
        except SiteError as error:
            if request.method != "POST":
                raise
            self.message_user(request, error.detail, messages.ERROR)
            answer: HttpResponse = redirect(request.get_full_path())
            return answer


class OfTeams(Told):
    """Rows that belong to teams."""

    # From a row to its team, as a lookup: `connection__team`. Empty: the site's own rows.
    team_path = ""
    least_to_see: Role = Role.VIEWER
    # What the policy asks for adding, changing and deleting; None: superusers alone.
    change_action: str | None = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows if request.user.is_superuser else self.narrowed(request, rows)

    def narrowed(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """What staff who are no superusers see of the rows."""
        if not self.team_path:
            return rows.none()
        return rows.filter(**{f"{self.team_path}__in": teams_of(request.user, self.least_to_see)})

    def get_field_queryset(self, db: Any, db_field: Any, request: HttpRequest) -> Any:
        """What a form offers to choose from is what the other model's own list shows."""
        other = self.admin_site._registry.get(db_field.remote_field.model)
        if other is not None:
            return other.get_queryset(request)
        return super().get_field_queryset(db, db_field, request)

    def get_list_filter(self, request: HttpRequest) -> Any:
        """A filter by a related row names all of them, also those of other teams."""
        names = super().get_list_filter(request)
        if request.user.is_superuser:
            return names
        fields = {one.name for one in self.model._meta.get_fields() if one.is_relation}
        return [name for name in names if name not in fields]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_view_permission(request, obj)
        return allowed and self._is_site_free(request) and self._is_seen(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self._may(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form may have moved the row to another team: that one is asked too.

        What the form has changed is written, and nothing else: the row was read before the form
        was filled, and what others did to it since stays.
        """
        if change:
            self._check_still(request, obj)
        if not self.may_write(request, obj):
            raise forbidden(self.change_action or "")
        if change:
            obj.save(update_fields=written(obj, form))
        else:
            super().save_model(request, obj, form, change)

    def _check_still(self, request: HttpRequest, obj: Model) -> None:
        """The row as it is now, locked: it is there, and the person may change it."""
        rows = type(obj)._base_manager.select_for_update(no_key=True)
        now = rows.filter(pk=obj.pk).first()
        if now is None:
            raise NotFound("It was deleted meanwhile.")
        if not self.may_write(request, now):
            raise forbidden(self.change_action or "")

    def may_write(self, request: HttpRequest, obj: Model) -> bool:
        """Whether the policy lets the person change this row."""
        if request.user.is_superuser:
            return True
        team = team_at(obj, self.team_path)
        if self.change_action is None or team is None:
            return False
        return may(caller_from_page(request), self.change_action, team)

    def _may(self, request: HttpRequest, obj: Any) -> bool:
        if request.user.is_superuser:
            return True
        if obj is not None:
            return self._is_seen(request, obj) and self.may_write(request, obj)
        return bool(self.team_path) and self.change_action is not None

    def _is_site_free(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser) or bool(self.team_path)

    def _is_seen(self, request: HttpRequest, obj: Any) -> bool:
        if obj is None or request.user.is_superuser:
            return True
        return self.get_queryset(request).filter(pk=obj.pk).exists()


def written(obj: Model, form: Any) -> list[str]:
    """The columns that a form has changed, with those that Django sets by itself."""
    columns = obj._meta.concrete_fields
    by_itself = {column.name for column in columns if getattr(column, "auto_now", False)}
    wanted = by_itself | set(form.changed_data)
    return [column.name for column in columns if column.name in wanted]


def teams_of(user: Any, least: Role) -> QuerySet[Any]:
    """The ids of the teams in which the person has at least this role."""
    rows = Membership.objects.filter(user=user, role__in=roles_from(least))
    return rows.values("team_id")


def team_at(obj: Any, path: str) -> Team | None:
    """The team that a row leads to; None where it leads nowhere."""
    for name in path.split("__") if path else ():
        obj = getattr(obj, name, None)
    return obj if isinstance(obj, Team) else None
