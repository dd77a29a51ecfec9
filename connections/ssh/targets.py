"""From a row to a way in: the address is resolved and checked, the credentials opened here.

What was checked when the row was stored is checked again: rows are also changed by other ways than
the services. A password opens for the place it was given for alone
(`connections.credentials.places`), a key of the server's own for the teams to which it is open, and
both ends of a jump are one team's.
"""

from connections.credentials import keys, server_keys
from connections.credentials.places import LONGEST_CHAIN
from connections.models import AuthMethod, Connection, Transport
from connections.ssh.errors import ConnectError
from connections.ssh.target import Credentials, Target
from core.errors import Invalid
from core.security import address_policy
from core.security.crypto import OtherContext, SecretUnreadable


def target_of(connection: Connection, depth: int = 0) -> Target:
    """Everything that `ssh.open_session` needs; raises `ssh.ConnectError` if it cannot be had.

    Resolves names and may read a key file: never call it inside a transaction.
    """
    if depth >= LONGEST_CHAIN:
        raise ConnectError("unreachable", "The chain of jump hosts is too long.")
    jump = connection.jump_connection
    if jump is not None:
        _check_jump(connection, jump)
    return Target(
        hostname=connection.hostname,
        port=connection.port,
        username=connection.username,
        credentials=credentials_of(connection),
        address=_address(connection, is_behind=jump is not None),
        host_key=connection.host_key,
        host_key_type=connection.host_key_type,
        jump=target_of(jump, depth + 1) if jump else None,
    )


def credentials_of(connection: Connection) -> Credentials:
    """The secrets in clear, or `ssh.ConnectError` with `key_unusable`."""
    _check_server_key(connection)
    try:
        if connection.auth_method == AuthMethod.AGENT:
            return Credentials(agent=True)
        if connection.auth_method == AuthMethod.PASSWORD:
            return Credentials(password=connection.secret("password") or "")
        return _key_credentials(connection)
    except OtherContext as error:
        raise ConnectError(
            "key_unusable",
            "The stored password was given for another host, port, user, jump host or host key; "
            "it was not sent. Enter the password again.",
        ) from error
    except SecretUnreadable as error:
        raise ConnectError(
            "key_unusable", "The stored secret cannot be decrypted with the site's keys."
        ) from error


def _key_credentials(connection: Connection) -> Credentials:
    passphrase = connection.secret("passphrase")
    text = connection.secret("private_key")
    try:
        if connection.ssh_key_path:
            key = keys.parse_key_file(connection.ssh_key_path, passphrase)
        elif text:
            key = keys.parse_private_key(text, passphrase)
        else:
            raise ConnectError("key_unusable", "No private key is stored for this machine.")
    except Invalid as error:
        raise ConnectError("key_unusable", error.detail) from error
    return Credentials(private_key=key.private_text)


def _check_jump(connection: Connection, jump: Connection) -> None:
    """Both ends belong to one team, and the jump host is an SSH machine outside the trash."""
    if jump.deleted_at is not None:
        raise ConnectError("unreachable", "Its jump host is in the trash.")
    if jump.team_id != connection.team_id:
        raise ConnectError("unreachable", "Its jump host belongs to another team.")
    if jump.transport != Transport.SSH:
        raise ConnectError("unreachable", "Its jump host is not reached over SSH.")


def _check_server_key(connection: Connection) -> None:
    """A draft has just been checked by `inputs.fill`, with the person who tries it."""
    if connection._state.adding:
        return
    if problem := server_keys.refusal(connection):
        raise ConnectError("key_unusable", problem)


def _address(connection: Connection, *, is_behind: bool) -> str:
    """The address to call; empty behind a jump host, where a name is looked up over there."""
    try:
        if is_behind:
            address_policy.allowed_literal(connection.hostname)
            return ""
        return address_policy.pin(connection.hostname, connection.port)
    except address_policy.RefusedAddress as error:
        raise ConnectError("refused_address", str(error)) from error
    except address_policy.Unresolvable as error:
        raise ConnectError("unreachable", str(error)) from error
