"""What the routes of people and teams ask for, the sign-in and the back office among them."""

from accounts.models import Role
from accounts.policy import AppPermissions, Right

_ENTER = {"GET": "site.enter", "POST": "site.enter"}
_OWN = {"GET": "self.view", "POST": "self.change"}
_TEAM = "teams/<uuid:team_id>/"

# allauth's pages; each asks for the login and the second factor itself where that is needed.
_SIGN_IN = {
    "accounts/login/*": _ENTER,
    "accounts/logout/": _ENTER,
    "accounts/inactive/": {"GET": "site.enter"},
    "accounts/signup/*": _ENTER,
    "accounts/confirm-email/": {"GET": "site.enter"},
    "accounts/confirm-email/(*": _ENTER,
    "accounts/password/reset/*": _ENTER,
    "accounts/2fa/authenticate/": _ENTER,
    "accounts/2fa/webauthn/login/": _ENTER,
    "accounts/oidc/*": _ENTER,
    "accounts/social/*": _ENTER,
    "accounts/3rdparty/login/*": _ENTER,
    "accounts/3rdparty/signup/": _ENTER,
    "accounts/3rdparty/": _OWN,
    "accounts/reauthenticate/": _OWN,
    "accounts/email/": _OWN,
    "accounts/password/change/": _OWN,
    "accounts/password/set/": _OWN,
    "accounts/2fa/*": _OWN,
    "accounts/sessions/": _OWN,
}

PERMISSIONS = AppPermissions(
    actions={
        "site.enter": Right.ANYONE,
        "self.view": Right.PERSON,
        "self.change": Right.PERSON,
        "admin.use": Right.STAFF,
        "user.view": Right.SUPERUSER,
        "user.create": Right.SUPERUSER,
        "user.change": Right.SUPERUSER,
        "team.list": Right.PERSON,
        "team.create": Right.SUPERUSER,
        "team.change": Role.ADMINISTRATOR,
        "team.delete": Right.SUPERUSER,
        "team.leave": Role.VIEWER,
        "member.view": Role.VIEWER,
        "member.change": Role.ADMINISTRATOR,
        "member.invite": Role.ADMINISTRATOR,
        "audit.view": Role.ADMINISTRATOR,
    },
    pages=_SIGN_IN
    | {
        "setup/<str:token>": _ENTER,
        "account/": {"GET": "self.view"},
        "account/settings": _OWN,
        "account/tokens": _OWN,
        "account/tokens/<uuid:token_id>/revoke": {"POST": "self.change"},
        "account/tokens/<uuid:token_id>/restore": {"POST": "self.change"},
        "teams/": {"GET": "team.list", "POST": "team.create"},
        "teams/choose": {"POST": "team.list"},
        _TEAM: {"GET": "member.view"},
        f"{_TEAM}rename": {"POST": "team.change"},
        f"{_TEAM}leave": {"POST": "team.leave"},
        f"{_TEAM}delete": {"POST": "team.delete"},
        f"{_TEAM}members": {"POST": "member.change"},
        f"{_TEAM}members/<int:user_id>/role": {"POST": "member.change"},
        f"{_TEAM}members/<int:user_id>/remove": {"POST": "member.change"},
        f"{_TEAM}invitations": {"POST": "member.invite"},
        f"{_TEAM}invitations/<uuid:invitation_id>/revoke": {"POST": "member.invite"},
        "join/<str:secret>": _ENTER,
        "audit/": {"GET": "audit.view"},
        "audit/csv": {"GET": "audit.view"},
    },
    api={
        "tokens": {"GET": "self.view", "POST": "self.change"},
        "tokens/<token_id>": {"DELETE": "self.change"},
        "teams": {"GET": "team.list", "POST": "team.create"},
        "teams/<team_id>": {"PATCH": "team.change"},
        "teams/<team_id>/invitations": {"GET": "member.invite", "POST": "member.invite"},
        "teams/<team_id>/invitations/<invitation_id>": {"DELETE": "member.invite"},
        "teams/<team_id>/members": {"GET": "member.view", "POST": "member.change"},
        "teams/<team_id>/members/<user_id>": {"PATCH": "member.change", "DELETE": "member.change"},
        "users": {"GET": "user.view", "POST": "user.create"},
        "users/<user_id>": {"PATCH": "user.change"},
        "audit": {"GET": "audit.view"},
    },
    admin_models=(
        "auth.group",
        "account.emailaddress",
        "accounts.user",
        "accounts.team",
        "accounts.apitoken",
        "accounts.auditevent",
    ),
)
