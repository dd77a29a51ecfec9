"""From checked input to a row: what a connection would be, before anything is stored.

Everything here may take time (a name server, a child process that opens a key), so it runs outside
transactions. It reads the database and writes nothing. The same rules hold for adding, changing
and testing a machine, because all three call `fill`.
"""

from typing import Any
from uuid import UUID

from accounts.models import Role, Team
from accounts.policy import Caller, may, roles_from
from connections import hostnames
from connections.credentials import keys, passwords, server_keys
from connections.credentials.places import LONGEST_CHAIN
from connections.models import AuthMethod, Connection, Transport
from connections.ssh import host_keys
from core.errors import Forbidden, Invalid, NotFound
from core.security import address_policy
from core.web.slots import Places

# A name server that hangs keeps each of them for five seconds.
LOOKUPS = Places("names that are looked up", in_all=32, per_person=8)

Fields = dict[str, Any]

_PLAIN = ("name", "tags", "transport", "port", "username", "auth_method", "ollama_port")
_SSH_ONLY = (
    "hostname",
    "username",
    "private_key",
    "passphrase",
    "password",
    "ssh_key_path",
    "generate_key",
    "jump_connection_id",
    "host_key",
)


def new(caller: Caller, fields: Fields) -> Connection:
    """The unsaved row for a machine to add; `Forbidden`, `NotFound` or `Invalid` if it may not be.

    Its team is the one named, else the first that the caller administers.
    """
    row = Connection(team=_team(caller, fields.get("team_id")), created_by=caller.user)
    fill(caller, row, fields)
    return row


def ask_again(caller: Caller, row: Connection) -> None:
    """What of `new` may hold no more after its slow parts, in the transaction that stores the row.

    Raises as `new` does: the caller's rights, and who else may use what the row names.
    """
    team_to_administer(caller, row.team_id)
    if row.transport == Transport.LOCAL:
        _check_local(caller, {})
    server_keys.check(caller, row)
    check_jump(caller, row)


def check_jump(caller: Caller, row: Connection) -> None:
    """That the jump host, if there is one, is there, and the team's."""
    if row.jump_connection_id is not None:
        _jump(caller, row, row.jump_connection_id)


def fill(caller: Caller, row: Connection, fields: Fields) -> None:
    """Write the sent fields into `row` and check that the whole is a usable machine."""
    before = passwords.Before.of(row)
    for name in (*_PLAIN, "auto_connect"):
        if name in fields:
            setattr(row, name, fields[name])
    if row.transport == Transport.LOCAL:
        _check_local(caller, fields)
        return
    _fill_place(row, fields)
    _fill_jump(caller, row, fields)
    _fill_host_key(row, fields)
    _fill_credentials(caller, row, fields)
    if {"hostname", "port", "transport", "jump_connection_id"} & fields.keys():
        with LOOKUPS.take(caller.user.pk):
            refuse_address(row)
    if "password" in fields:
        row.set_secret("password", fields["password"] or "")
    else:
        before.settle(row)
    _check_credentials(row)


def team_to_administer(caller: Caller, team_id: UUID) -> Team:
    """The team, if the caller may put machines there; a team one is not in does not exist."""
    team = Team.objects.filter(pk=team_id).first()
    if team is None or not (
        caller.user.is_superuser or team.memberships.filter(user=caller.user).exists()
    ):
        raise NotFound("There is no such team.")
    if not may(caller, "connection.create", team):
        raise Forbidden
    return team


def refuse_address(row: Connection) -> None:
    """`Invalid` if the policy forbids where the row points; a name without address passes.

    Behind a jump host the name is resolved over there; here only literal addresses are judged.
    """
    try:
        if row.jump_connection is None:
            address_policy.pin(row.hostname, row.port)
        else:
            address_policy.allowed_literal(row.hostname)
    except address_policy.RefusedAddress as error:
        raise Invalid.field("hostname", error.detail) from error
    except address_policy.Unresolvable:
        return


def _team(caller: Caller, team_id: UUID | None) -> Team:
    if team_id is not None:
        return team_to_administer(caller, team_id)
    mine = Team.objects.order_by("created_at")
    if not caller.user.is_superuser:
        mine = mine.filter(
            memberships__user=caller.user, memberships__role__in=roles_from(Role.ADMINISTRATOR)
        )
    team = mine.first() or (Team.default() if caller.user.is_superuser else None)
    if team is None or not may(caller, "connection.create", team):
        raise Forbidden("Only an administrator of a team adds machines.")
    return team


def _check_local(caller: Caller, fields: Fields) -> None:
    """The site's own machine has no address and no credentials; superusers alone add it."""
    if not caller.user.is_superuser:
        raise Forbidden("Only a superuser adds the machine that the site runs on.")
    for name in _SSH_ONLY:
        if fields.get(name):
            raise Invalid.field(name, "The site's own machine is not reached over SSH.")


def _fill_place(row: Connection, fields: Fields) -> None:
    if "hostname" in fields or not row.hostname:
        row.hostname = hostnames.check_hostname(fields.get("hostname", ""))
    if not row.username:
        raise Invalid.field("username", "Give the user name on the machine.")


def _fill_jump(caller: Caller, row: Connection, fields: Fields) -> None:
    if "jump_connection_id" not in fields:
        return
    wanted = fields["jump_connection_id"]
    row.jump_connection = _jump(caller, row, wanted) if wanted else None


def _jump(caller: Caller, row: Connection, wanted: UUID) -> Connection:
    jump = Connection.objects.visible_to(caller.user).filter(pk=wanted).first()
    if jump is None:
        raise NotFound("There is no such jump host.")
    if jump.team_id != row.team_id or jump.transport != Transport.SSH:
        raise Invalid.field("jump_connection_id", "A jump host is an SSH machine of the same team.")
    chain = [jump]
    while (further := chain[-1].jump_connection) is not None and len(chain) <= LONGEST_CHAIN:
        chain.append(further)
    if len(chain) >= LONGEST_CHAIN or row.pk in {step.pk for step in chain}:
        raise Invalid.field(
            "jump_connection_id", "The jump hosts form a circle or too long a chain."
        )
    return jump


def _fill_host_key(row: Connection, fields: Fields) -> None:
    if "host_key" not in fields:
        return
    text = (fields["host_key"] or "").strip()
    # A form sends back the fingerprint it was given, which must not forget the key's type.
    if text != row.host_key:
        row.host_key, row.host_key_type = host_keys.parse(text) if text else ("", "")


def _fill_credentials(caller: Caller, row: Connection, fields: Fields) -> None:
    _fill_key(caller, row, fields)
    if row._state.adding or {"auth_method", "ssh_key_path", "team_id"} & fields.keys():
        server_keys.check(caller, row)


def _check_credentials(row: Connection) -> None:
    if row.auth_method == AuthMethod.PASSWORD and not row.password_encrypted:
        raise Invalid.field("password", "Give the password.")
    has_key = row.private_key_encrypted or row.ssh_key_path
    if row.auth_method == AuthMethod.KEY and not has_key:
        raise Invalid.field(
            "private_key", "Give a private key, the path of one on the server, or generate_key."
        )


def _fill_key(caller: Caller, row: Connection, fields: Fields) -> None:
    """A connection has one key: pasted, in a file of the server, or made here."""
    given = [name for name in ("private_key", "ssh_key_path", "generate_key") if fields.get(name)]
    if len(given) > 1:
        raise Invalid.field(given[1], "Give one key: pasted, by path, or generated.")
    if given == ["private_key"]:
        key = keys.parse_private_key(fields["private_key"], fields.get("passphrase"))
        _keep_key(row, key.private_text, key.public_line)
    elif given == ["generate_key"]:
        _keep_key(row, *keys.generate())
    elif given == ["ssh_key_path"]:
        _keep_path(caller, row, fields["ssh_key_path"], fields.get("passphrase"))
    elif fields.get("passphrase") and row.ssh_key_path:
        _keep_path(caller, row, row.ssh_key_path, fields["passphrase"])
    elif fields.get("passphrase"):
        raise Invalid.field("passphrase", "Give the private key together with its passphrase.")
    else:
        _forget_emptied(row, fields)


def _keep_key(row: Connection, private_text: str, public_line: str) -> None:
    """The key is kept encrypted and without its own passphrase, which then has no use."""
    row.set_secret("private_key", private_text)
    row.set_secret("passphrase", "")
    row.public_key, row.ssh_key_path = public_line, ""


def _keep_path(caller: Caller, row: Connection, path: str, passphrase: str | None) -> None:
    server_keys.check_path(caller, row.team_id, path)
    key = keys.parse_key_file(path, passphrase)
    row.set_secret("private_key", "")
    row.set_secret("passphrase", passphrase or "")
    row.public_key, row.ssh_key_path = key.public_line, str(keys.key_path(path))


def _forget_emptied(row: Connection, fields: Fields) -> None:
    if "private_key" in fields:
        row.set_secret("private_key", "")
    if "ssh_key_path" in fields:
        row.ssh_key_path = ""
    if "private_key" in fields or "ssh_key_path" in fields:
        row.set_secret("passphrase", "")
        row.public_key = ""
