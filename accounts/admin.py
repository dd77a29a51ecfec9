"""People, teams, tokens and the audit trail in Django's admin; every change is audited first."""

from contextlib import suppress
from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from accounts import audit, tokens
from accounts.auth.callers import caller_from_page
from accounts.back_office import OfTeams, teams_of
from accounts.models import ApiToken, AuditEvent, Membership, Role, Team, User
from accounts.policy import Caller, may
from accounts.signin.admin import WayBackIn, tidy
from accounts.teams import given, superusers
from accounts.teams import services as teams_services
from core.errors import Invalid, NotFound

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
        with transaction.atomic():
            for obj in queryset:
                self.delete_model(request, obj)


class NewPassword(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """Writes the password alone: the person was read before the form was filled in."""

    def set_password_and_save(self, user: Any, commit: bool = True, **kwargs: Any) -> Any:
        user = super().set_password_and_save(user, commit=False, **kwargs)  # type: ignore[misc]
        if commit:
            user.save(update_fields=["password"])
        return user


class ReadOnly:
    """Rows that are written elsewhere and only looked at here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class PersonAdmin(Audited, WayBackIn, OfTeams, UserAdmin):  # type: ignore[type-arg]
    """Staff with Django's permission look after the people of the teams that they administer.

    And after those of no team. Rights are given by superusers, one of whom stays.
    """

    audit_name = "user"
    change_password_form = NewPassword
    actions = ("remove_second_factors",)

    def narrowed(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        shared = Membership.objects.filter(team__in=teams_of(request.user, Role.VIEWER))
        is_colleague = Q(pk__in=shared.values("user_id"))
        # Not by a join, which would show a person once for each team.
        is_newcomer = ~Q(pk__in=Membership.objects.values("user_id"))
        return rows.filter(is_colleague | is_newcomer | Q(pk=request.user.pk))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *_RIGHTS)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return UserAdmin.has_view_permission(self, request, obj) and self._is_seen(request, obj)

    def may_write(self, request: HttpRequest, obj: Model) -> bool:
        """Whoever changes somebody's password or address is that person soon.

        So nobody reaches up to staff, nor to the rights that a person has in other teams.
        """
        if request.user.is_superuser or obj._state.adding:
            return True
        assert isinstance(obj, User)
        administered = teams_of(request.user, Role.ADMINISTRATOR)
        is_elsewhere = obj.memberships.exclude(team__in=administered).exists()
        return not (obj.is_superuser or obj.is_staff or is_elsewhere)

    def _may(self, request: HttpRequest, obj: Any) -> bool:
        if obj is None:
            return True
        return self._is_seen(request, obj) and self.may_write(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People are made and deleted by superusers, as over the API."""
        return UserAdmin.has_add_permission(self, request) and bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return UserAdmin.has_delete_permission(self, request, obj) and bool(
            request.user.is_superuser
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        audit.take_turn()
        before = superusers.locked(obj.pk) if change else None
        if before is not None and not (obj.is_superuser and obj.is_active):
            superusers.keep_one(before)
        super().save_model(request, obj, form, change)
        if before is not None:
            self._take_away(caller_from_page(request), before, obj)

    def _take_away(self, caller: Caller, before: User, now: User) -> None:
        """What they gave goes with the account, and with the rank."""
        is_switched_off = before.is_active and not now.is_active
        if is_switched_off or (before.is_superuser and not now.is_superuser):
            given.withdraw_invitations(caller, now)
        if is_switched_off:
            given.end_sessions(now)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_queryset(request, User.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            audit.take_turn()
            found = [superusers.locked(key) for key in queryset.values_list("pk", flat=True)]
            people = [person for person in found if person is not None]
            superusers.keep_one(*people)
            for person in people:
                super().delete_model(request, person)


class MemberInline(admin.TabularInline):  # type: ignore[type-arg]
    """Members; who may not change the team's members only looks at them."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request, obj) and _may_change_members(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may_change_members(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_change_members(request, obj)


def _may_change_members(request: HttpRequest, team: Team | None) -> bool:
    if team is None or request.user.is_superuser:
        return bool(request.user.is_superuser)
    return may(caller_from_page(request), "member.change", team)


@admin.register(Team)
class TeamAdmin(Audited, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    """Teams and members by the site's own services."""

    audit_name = "team"
    team_path = "pk"
    change_action = "team.change"
    list_display = ("name", "created_at")
    search_fields = ("name",)
    inlines = (MemberInline,)

    def may_write(self, request: HttpRequest, obj: Model) -> bool:
        assert isinstance(obj, Team)
        return may(caller_from_page(request), "team.change", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and bool(request.user.is_superuser)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        teams_services.delete_team(caller_from_page(request), obj.pk, obj.name)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Members come, change and go as on the team's page, those who stay first."""
        caller, team = caller_from_page(request), form.instance
        formset.save(commit=False)
        for row in formset.new_objects:
            teams_services.add_member(caller, team.pk, row.user.username, None, row.role)
        for row, fields in formset.changed_objects:
            if "user" in fields:
                raise Invalid.field("user", "Remove the one and add the other.")
            teams_services.change_member(caller, team.pk, row.user_id, row.role)
        for row in formset.deleted_objects:
            teams_services.remove_member(caller, team.pk, row.user_id)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    """Tokens without their secrets or hashes; they can only be revoked. Staff see their own."""

    list_display = ("name", "user", "scope", "hint", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = ("scope",)
    fields = ("name", "user", "scope", "hint", "created_at", "expires_at", "last_used_at")
    actions = ("revoke",)

    def narrowed(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(user=request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = admin.ModelAdmin.has_view_permission(self, request, obj)
        return allowed and self._is_seen(request, obj)

    @admin.action(description="Revoke", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        caller = caller_from_page(request)
        for key in queryset.filter(revoked_at=None).values_list("pk", flat=True):
            with suppress(NotFound):  # revoked with another of them
                tokens.revoke(caller, key)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    """The trail, to whom the site's own page would show it."""

    team_path = "team"
    least_to_see = Role.ADMINISTRATOR
    list_display = ("at", "actor_name", "action", "object_name", "team", "address")
    list_filter = ("action",)
    list_select_related = ("team",)
    search_fields = ("actor_name", "object_name", "object_id")
    date_hierarchy = "at"


admin.site.unregister(Group)
admin.site.unregister(EmailAddress)


@admin.register(Group)
class RightsAdmin(Audited, OfTeams, GroupAdmin):
    """Bundles of Django's permissions; for superusers, as all rights are."""

    audit_name = "group"


@admin.register(EmailAddress)
class AddressAdmin(Audited, OfTeams, EmailAddressAdmin):
    """Addresses and whether they are verified; for superusers: an address opens an account."""

    audit_name = "address"


tidy(admin.site)
