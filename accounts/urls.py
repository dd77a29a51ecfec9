"""Addresses of the account, the teams, the audit trail and the first start."""

from django.urls import path

from accounts.pages import account, preferences, teams, tokens
from accounts.pages import audit as pages_audit

_TEAM = "teams/<uuid:team_id>/"

urlpatterns = [
    path("account/", account.account, name="account"),
    path("account/settings", preferences.settings_page, name="settings"),
    path("account/tokens", tokens.token_page, name="tokens"),
    path("account/tokens/<uuid:token_id>/revoke", tokens.revoke_token, name="token_revoke"),
    path("account/tokens/<uuid:token_id>/restore", tokens.restore_token, name="token_restore"),
    path("teams/", teams.teams, name="teams"),
    path("teams/choose", teams.choose, name="team_choose"),
    path(_TEAM, teams.team, name="team"),
    path(f"{_TEAM}rename", teams.rename, name="team_rename"),
    path(f"{_TEAM}leave", teams.leave, name="team_leave"),
    path(f"{_TEAM}delete", teams.delete, name="team_delete"),
    path(f"{_TEAM}members", teams.add_member, name="member_add"),
    path(f"{_TEAM}members/<int:user_id>/role", teams.change_member, name="member_role"),
    path(f"{_TEAM}members/<int:user_id>/remove", teams.remove_member, name="member_remove"),
    path(f"{_TEAM}invitations", teams.invite, name="invite"),
    path(
        f"{_TEAM}invitations/<uuid:invitation_id>/revoke",
        teams.revoke_invitation,
        name="invitation_revoke",
    ),
    path("join/<str:secret>", teams.join, name="join"),
    path("audit/", pages_audit.audit_page, name="audit"),
    path("audit/csv", pages_audit.audit_csv, name="audit_csv"),
    path("setup/<str:token>", account.first_start, name="setup"),
]
