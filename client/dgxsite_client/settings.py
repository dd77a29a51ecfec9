"""Where the site is and who we are: from the environment, else from `~/.config/dgxsite`.

The token's file is for its owner alone. One that others can read is refused, not repaired: whoever
could read it may have.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dgxsite_client.errors import Misuse

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Settings:
    """The site's address without a slash at the end, and the token."""

    url: str
    token: str = field(repr=False)


def load(environment: Mapping[str, str]) -> Settings:
    """From `DGXSITE_URL` and `DGXSITE_TOKEN`, else the files `url` and `token`; raises `Misuse`."""
    folder = folder_of(environment)
    url = environment.get("DGXSITE_URL") or _read(folder / "url")
    if not url:
        raise Misuse("Say where the site is: set DGXSITE_URL, or run `dgxsite login --url URL`.")
    token = environment.get("DGXSITE_TOKEN") or _secret(folder / "token")
    if not token:
        raise Misuse("There is no token: set DGXSITE_TOKEN, or run `dgxsite login`.")
    return Settings(checked_url(url), _checked_token(token))


def folder_of(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")) / ".config"
    return Path(base).expanduser() / "dgxsite"


def checked_url(text: str) -> str:
    """The address; a token is only sent in clear to this machine itself. Raises `Misuse`."""
    parts = urlsplit(text.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise Misuse(f"{text!r} is not the address of a site, such as https://gpu.example.org.")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise Misuse("A token is not sent without encryption: use https.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def store(environment: Mapping[str, str], url: str, token: str) -> Path:
    """Keep both, the token with mode 0600 from its first byte; the token's file."""
    folder = folder_of(environment)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "url").write_text(f"{checked_url(url)}\n")
    path = folder / "token"
    new = folder / f".token.{os.getpid()}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{_checked_token(token)}\n")
    new.replace(path)
    return path


def _checked_token(token: str) -> str:
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Misuse("That is not a token.")
    return token


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}.") from None


def _secret(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if mode & _OTHERS:
        raise Misuse(f"Others may read {path}. Make a new token, then: chmod 600 {path}")
    return _read(path)
