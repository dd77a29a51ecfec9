"""The form that adds or changes a machine: HTML in, the API's grammar decides.

The form only knows how a browser sends things (files, radio buttons, a comma-separated list). What
is allowed is said once, by `connections.schemas.ConnectionIn`.
"""

from typing import Any, BinaryIO

from django import forms
from pydantic import ValidationError

from accounts.models import Role, Team, User
from accounts.policy import roles_from
from connections.credentials import server_keys
from connections.models import AuthMethod, Connection, Transport
from connections.schemas import ConnectionIn
from core.errors import SiteError

_KEY_SOURCES = (
    ("generate", "Make a new pair"),
    ("paste", "Paste a key"),
    ("upload", "Upload a key file"),
    ("path", "Key file on the server"),
)
_AUTH_METHODS = (
    (AuthMethod.KEY, "SSH key"),
    (AuthMethod.PASSWORD, "Password"),
    (AuthMethod.AGENT, "SSH agent"),
)
_KEY_FILE_LIMIT_BYTES = 64 * 1024
_OPENS = "As a superuser you open it to the machine's team by saving."
_ASK = "A superuser opens the server's own keys to teams."
_SHARED = ("name", "tags", "auto_connect", "ollama_port")


class SecretText(forms.Textarea):
    """A text area that never sends back what was typed."""

    def format_value(self, value: Any) -> str:
        return ""


class ConnectionForm(forms.Form):
    """Field names are those of the API; `key_source` says which of the key fields counts."""

    use_required_attribute = False

    name = forms.CharField(max_length=100)
    hostname = forms.CharField(required=False, max_length=1000)
    port = forms.IntegerField(initial=22, min_value=1, max_value=65535)
    username = forms.CharField(required=False, max_length=64)
    auth_method = forms.ChoiceField(
        choices=_AUTH_METHODS, initial=AuthMethod.KEY, widget=forms.RadioSelect
    )
    key_source = forms.ChoiceField(
        choices=_KEY_SOURCES, initial="generate", widget=forms.RadioSelect
    )
    private_key = forms.CharField(required=False, strip=False, widget=SecretText)
    private_key_file = forms.FileField(required=False)
    ssh_key_path = forms.CharField(required=False, max_length=500)
    passphrase = forms.CharField(required=False, strip=False, widget=forms.PasswordInput)
    password = forms.CharField(required=False, strip=False, widget=forms.PasswordInput)
    jump_connection_id = forms.ChoiceField(required=False)
    host_key = forms.CharField(required=False)
    tags = forms.CharField(required=False, max_length=1000)
    team_id = forms.ChoiceField(required=False)
    ollama_port = forms.IntegerField(initial=11434, min_value=1, max_value=65535)
    auto_connect = forms.BooleanField(required=False, initial=True)

    def __init__(
        self, user: User, row: Connection | None = None, data: Any = None, files: Any = None
    ):
        super().__init__(data, files, initial=_initial(row) if row else None)
        self.row = row
        self.is_local = row is not None and row.transport == Transport.LOCAL
        self._offer_choices(user)
        if self.is_local:
            for name in set(self.fields) - set(_SHARED):
                del self.fields[name]
        paths, agent = server_keys.open_to(user, row)
        self.key_path_help = _key_path_help(user, paths)
        self.agent_help = _agent_help(user, is_open=agent)
        self._describe()

    def api_fields(self) -> dict[str, Any] | None:
        """What the API would have been sent, checked by its grammar; None with errors set."""
        if not self.is_valid():
            return None
        try:
            return ConnectionIn.model_validate(self._sent()).model_dump(exclude_unset=True)
        except ValidationError as error:
            for found in error.errors():
                self._blame(str(found["loc"][0]), found["msg"].removeprefix("Value error, "))
        return None

    def take(self, error: SiteError) -> None:
        """Show an error of a service at its field, or above the form."""
        for found in error.errors:
            self._blame(found.field, found.message)
        if not error.errors:
            self.add_error(None, error.detail)

    def _blame(self, field: str, message: str) -> None:
        if field == "private_key" and self.data.get("key_source") == "upload":
            field = "private_key_file"
        self.add_error(field if field in self.fields else None, message)

    def _sent(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        sent = {name: cleaned[name] for name in ("name", "auto_connect", "ollama_port")}
        sent["tags"] = [tag.strip() for tag in cleaned["tags"].split(",") if tag.strip()]
        if self.is_local:
            return sent
        for name in ("hostname", "port", "username", "auth_method", "host_key"):
            sent[name] = cleaned[name]
        sent["jump_connection_id"] = cleaned["jump_connection_id"] or None
        if cleaned["team_id"]:
            sent["team_id"] = cleaned["team_id"]
        return sent | self._credentials(cleaned)

    def _credentials(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        if cleaned["auth_method"] == AuthMethod.PASSWORD:
            return {"password": cleaned["password"]} if cleaned["password"] else {}
        if cleaned["auth_method"] == AuthMethod.AGENT:
            return {}
        source = cleaned["key_source"]
        if source == "keep":
            return {}
        if source == "generate":
            return {"generate_key": True}
        passphrase = {"passphrase": cleaned["passphrase"]} if cleaned["passphrase"] else {}
        if source == "path":
            return {"ssh_key_path": cleaned["ssh_key_path"]} | passphrase
        if source == "upload":
            return {"private_key": _text_of(cleaned["private_key_file"])} | passphrase
        return {"private_key": cleaned["private_key"]} | passphrase

    def _offer_choices(self, user: User) -> None:
        teams = _teams(user)
        jumps = Connection.objects.visible_to(user).filter(
            transport=Transport.SSH, team__in=[team.pk for team in teams]
        )
        if self.row is not None:
            jumps = jumps.exclude(pk=self.row.pk)
            self._offer("key_source", [("keep", "Keep the stored key"), *_KEY_SOURCES])
        self._offer("team_id", [(str(team.pk), team.name) for team in teams])
        straight = ("", "none – straight to it")
        self._offer("jump_connection_id", [straight, *((str(row.pk), row.name) for row in jumps)])

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _describe(self) -> None:
        """Tie each field to its help and its error, for screen readers."""
        for name, field in self.fields.items():
            field.widget.attrs["aria-describedby"] = f"{name}-help {name}-error"
            field.widget.attrs["autocomplete"] = "off"
            if self.is_bound and name in self.errors:
                field.widget.attrs["aria-invalid"] = "true"


def _key_path_help(user: User, paths: list[str]) -> str:
    if user.is_superuser:
        return f"Below the site's SSH key directory, for example id_ed25519. {_OPENS}"
    return "Open to your team: " + ", ".join(paths) if paths else f"None is open. {_ASK}"


def _agent_help(user: User, *, is_open: bool) -> str:
    asked = "The SSH agent of the account that runs this site is asked."
    if user.is_superuser:
        return f"{asked} {_OPENS}"
    return asked if is_open else f"{asked} It is not open to your team. {_ASK}"


def _teams(user: User) -> list[Team]:
    teams = Team.objects.order_by("created_at")
    if not user.is_superuser:
        teams = teams.filter(
            memberships__user=user, memberships__role__in=roles_from(Role.ADMINISTRATOR)
        )
    return list(teams)


def _initial(row: Connection) -> dict[str, Any]:
    names = ("name", "hostname", "port", "username", "auth_method", "host_key", "ollama_port")
    values = {name: getattr(row, name) for name in (*names, "auto_connect", "ssh_key_path")}
    return values | {
        "tags": ", ".join(row.tags),
        "team_id": str(row.team_id),
        "jump_connection_id": str(row.jump_connection_id or ""),
        "key_source": "keep",
    }


def _text_of(file: BinaryIO | None) -> str:
    """The start of the uploaded file; one that is too long is no key and refused as such."""
    if file is None:
        return ""
    return file.read(_KEY_FILE_LIMIT_BYTES + 1).decode("utf-8", errors="replace")
