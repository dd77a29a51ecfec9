"""From a row to a way in: the address is resolved and checked, the credentials opened here."""

from connections import keys, ssh
from connections.models import AuthMethod, Connection
from dgxsite import address_policy
from dgxsite.crypto import SecretUnreadable
from dgxsite.errors import Invalid

# A jump host may itself lie behind one; more than this is a mistake or a circle.
LONGEST_CHAIN = 4


def target_of(connection: Connection, depth: int = 0) -> ssh.Target:
    """Everything that `ssh.open_session` needs; raises `ssh.ConnectError` if it cannot be had.

    Resolves names and may read a key file: never call it inside a transaction.
    """
    if depth >= LONGEST_CHAIN:
        raise ssh.ConnectError("unreachable", "The chain of jump hosts is too long.")
    jump = connection.jump_connection
    return ssh.Target(
        hostname=connection.hostname,
        port=connection.port,
        username=connection.username,
        credentials=credentials_of(connection),
        address="" if jump else _address(connection),
        host_key=connection.host_key,
        host_key_type=connection.host_key_type,
        jump=target_of(jump, depth + 1) if jump else None,
    )


def credentials_of(connection: Connection) -> ssh.Credentials:
    """The secrets in clear, or `ssh.ConnectError` with `key_unusable`."""
    try:
        if connection.auth_method == AuthMethod.AGENT:
            return ssh.Credentials(agent=True)
        if connection.auth_method == AuthMethod.PASSWORD:
            return ssh.Credentials(password=connection.secret("password") or "")
        return _key_credentials(connection)
    except SecretUnreadable as error:
        raise ssh.ConnectError(
            "key_unusable", "The stored secret cannot be decrypted with the site's keys."
        ) from error


def _key_credentials(connection: Connection) -> ssh.Credentials:
    passphrase = connection.secret("passphrase")
    text = connection.secret("private_key")
    try:
        if connection.ssh_key_path:
            key = keys.parse_key_file(connection.ssh_key_path, passphrase)
        elif text:
            key = keys.parse_private_key(text, passphrase)
        else:
            raise ssh.ConnectError("key_unusable", "No private key is stored for this machine.")
    except Invalid as error:
        raise ssh.ConnectError("key_unusable", error.detail) from error
    return ssh.Credentials(private_key=key.private_text)


def _address(connection: Connection) -> str:
    try:
        return address_policy.pin(connection.hostname, connection.port)
    except address_policy.RefusedAddress as error:
        raise ssh.ConnectError("refused_address", str(error)) from error
    except address_policy.Unresolvable as error:
        raise ssh.ConnectError("unreachable", str(error)) from error
