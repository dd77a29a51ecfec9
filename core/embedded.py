"""Where embedded mode keeps things: the data directory, its sockets and the keys it makes.

With `DATABASE_URL` or `REDIS_URL` unset, `manage.py up` runs PostgreSQL and Redis below the data
directory. Every other command finds them through the socket paths that this module computes, so
nothing has to be handed over. This file opens no connection and starts no process.
"""

import hashlib
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

# sun_path holds 108 bytes with its NUL; redis-server silently cuts a longer path and listens
# elsewhere. The longest name below the directory is `.s.PGSQL.5432.lock`.
_LONGEST_SOCKET_DIRECTORY = 107 - len("/.s.PGSQL.5432.lock")
# The file that holds the keys for secrets at rest.
ENCRYPTION_KEYS = "encryption_keys"
# Three libraries read the path out of an address and disagree about escaping: use none.
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


def socket_directory(data_dir: Path) -> Path:
    """The directory of the Unix sockets: below the data directory, or a short one in its place."""
    inside = data_dir / "run"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET_DIRECTORY and _PLAIN.fullmatch(str(inside)):
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"dgxsite-{os.getuid()}-{digest}"


def make_private_directory(path: Path) -> Path:
    """Make `path` with mode 0700; refuse one that somebody else owns."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else")
    path.chmod(0o700)
    return path


def database_url(data_dir: Path) -> str:
    """libpq address of the embedded database, over its socket."""
    return f"postgresql:///postgres?host={socket_directory(data_dir)}&user=postgres"


def redis_url(data_dir: Path) -> str:
    return f"unix://{socket_directory(data_dir) / 'redis.sock'}"


def stored_key(data_dir: Path, name: str) -> str:
    """The key kept in `data_dir/keys/NAME`, made on first use with mode 0600.

    A key for encryption has the form that Fernet wants; any other is longer, as Django advises.
    Two processes that start together agree: the file is created exclusively, and the loser reads
    what the winner wrote.
    """
    path = data_dir / "keys" / name
    if not path.exists():
        make_private_directory(path.parent)
        made = Fernet.generate_key().decode()
        _write_new(path, made if name == ENCRYPTION_KEYS else secrets.token_urlsafe(64))
    return path.read_text(encoding="ascii").strip()


def _write_new(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
    try:
        os.link(draft, path)  # atomic, and fails if another process was first
    except FileExistsError:
        pass
    finally:
        draft.unlink()
