"""Addresses of the account, the teams, the audit trail and the first start."""

from django.urls import path

from accounts import audit_views, preference_views, team_views, token_views, views

_TEAM = "teams/<uuid:team_id>/"

urlpatterns = [
    path("account/", views.account, name="account"),
    path("account/settings", preference_views.settings_page, name="settings"),
    path("account/tokens", token_views.token_page, name="tokens"),
    path("account/tokens/<uuid:token_id>/revoke", token_views.revoke_token, name="token_revoke"),
    path("account/tokens/<uuid:token_id>/restore", token_views.restore_token, name="token_restore"),
    path("teams/", team_views.teams, name="teams"),
    path("teams/choose", team_views.choose, name="team_choose"),
    path(_TEAM, team_views.team, name="team"),
    path(f"{_TEAM}rename", team_views.rename, name="team_rename"),
    path(f"{_TEAM}leave", team_views.leave, name="team_leave"),
    path(f"{_TEAM}delete", team_views.delete, name="team_delete"),
    path(f"{_TEAM}members", team_views.add_member, name="member_add"),
    path(f"{_TEAM}members/<int:user_id>/role", team_views.change_member, name="member_role"),
    path(f"{_TEAM}members/<int:user_id>/remove", team_views.remove_member, name="member_remove"),
    path(f"{_TEAM}invitations", team_views.invite, name="invite"),
    path(
        f"{_TEAM}invitations/<uuid:invitation_id>/revoke",
        team_views.revoke_invitation,
        name="invitation_revoke",
    ),
    path("join/<str:secret>", team_views.join, name="join"),
    path("audit/", audit_views.audit_page, name="audit"),
    path("audit/csv", audit_views.audit_csv, name="audit_csv"),
    path("setup/<str:token>", views.first_start, name="setup"),
]
