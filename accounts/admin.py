"""People, teams, tokens and the audit trail in Django's admin; every change is audited first."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts import audit, tokens
from accounts.authentication import caller_from_page
from accounts.models import ApiToken, AuditEvent, Membership, Team, User
from accounts.sign_in_admin import WayBackIn, tidy

_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class Audited:
    """Writes the audit row in the transaction in which the admin saves or deletes."""

    audit_name = ""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        verb = "change" if change else "create"
        # A password's field is named, its value is not.
        fields = [name for name in form.changed_data if name in form.fields]
        audit.record(caller_from_page(request), f"{self.audit_name}.{verb}", obj, fields=fields)
        super().save_model(request, obj, form, change)  # type: ignore[misc]

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        audit.record(caller_from_page(request), f"{self.audit_name}.delete", obj)
        super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


class ReadOnly:
    """Rows that are written elsewhere and only looked at here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class PersonAdmin(Audited, WayBackIn, UserAdmin):  # type: ignore[type-arg]
    """Staff with Django's permission for it look after people; rights are given by superusers."""

    audit_name = "user"
    actions = ("remove_second_factors",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *_RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever changes a superuser's password or address is one soon."""
        return _is_below(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_below(request, obj) and super().has_delete_permission(request, obj)


def _is_below(request: HttpRequest, person: User | None) -> bool:
    is_above = person is not None and (person.is_superuser or person.is_staff)
    return bool(request.user.is_superuser) or not is_above


class MemberInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Team)
class TeamAdmin(Audited, admin.ModelAdmin):  # type: ignore[type-arg]
    audit_name = "team"
    list_display = ("name", "created_at")
    search_fields = ("name",)
    inlines = (MemberInline,)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Members are audited one by one."""
        caller = caller_from_page(request)
        formset.save(commit=False)
        changed = [row for row, _ in formset.changed_objects]
        for verb, rows in (
            ("remove", formset.deleted_objects),
            ("add", formset.new_objects),
            ("change", changed),
        ):
            for row in rows:
                audit.record(caller, f"member.{verb}", row.user, team=row.team, role=row.role)
        super().save_formset(request, form, formset, change)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Tokens without their secrets or hashes; they can only be revoked."""

    list_display = ("name", "user", "scope", "hint", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = ("scope",)
    fields = ("name", "user", "scope", "hint", "created_at", "expires_at", "last_used_at")
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        caller = caller_from_page(request)
        if not caller.user.is_superuser:
            queryset = queryset.filter(user=caller.user)
        for token in queryset.filter(revoked_at=None):
            tokens.revoke(caller, token.pk)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("at", "actor_name", "action", "object_name", "team", "address")
    list_filter = ("action",)
    list_select_related = ("team",)
    search_fields = ("actor_name", "object_name", "object_id")
    date_hierarchy = "at"


tidy(admin.site)
