"""SSH keys: what a person pastes, what lies in the site's key directory, and what the site makes.

A pasted key is hostile input: the work to open it is written in its own header. Forms that are
slow on purpose are refused from the header, and whatever is left is opened in a child process
that is killed after a few seconds. Nothing here logs or repeats what was given.
"""

import base64
import binascii
import json
import os
import re
import stat
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from connections.credentials import key_reader
from core.errors import Invalid
from core.web.waiting import outside_database

LIMIT_CHARACTERS = 64 * 1024
# ssh-keygen writes 16 or 24; 2000 rounds were measured to take 16 s.
BCRYPT_ROUNDS = 64
# Wall time, for a busy machine; the child itself ends after 4 s of CPU.
_OPEN_SECONDS = 15.0
# Holds RSA with 8192 bits; larger numbers take seconds to check.
_CHEAP_CHARACTERS = 8 * 1024
_READER = Path(__file__).with_name("key_reader.py")

_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_NOT_USABLE = "This is not a usable private key."
_HINTS = (
    (re.compile(r"PuTTY-User-Key-File"), "Keys of PuTTY are not supported; export as OpenSSH."),
    (re.compile(r"-cert-v01@openssh\.com"), "This is a certificate, not a private key."),
    (re.compile(r"^sk-(ssh|ecdsa)"), "Keys on a security token (FIDO) are not supported."),
    (re.compile(r"^(ssh|ecdsa)-"), "This is the public half; paste the private key."),
    (re.compile(r"BEGIN (SSH2 )?PUBLIC KEY"), "This is the public half; paste the private key."),
)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key that the site can use. `private_text` is OpenSSH's form without a passphrase."""

    kind: str
    fingerprint: str
    public_line: str
    private_text: str = field(repr=False)


def parse_private_key(text: str, passphrase: str | None = None) -> ParsedKey:
    """Open a pasted key; `Invalid` names the field: `private_key` or `passphrase`."""
    text = _normal(text)
    is_cheap = _check_form(text)
    read = key_reader.answer if is_cheap else _read_in_child
    answer = read(text, passphrase or None)
    if "error" in answer:
        raise Invalid.field(answer["field"], answer["error"])
    return ParsedKey(**answer)


def read_key_file(path: str | Path) -> str:
    """The text of a key file below `DGX_SSH_KEY_DIR`; `Invalid` for any other place."""
    return _file_text(key_path(path))


def parse_key_file(path: str | Path, passphrase: str | None = None) -> ParsedKey:
    """Open a key below `DGX_SSH_KEY_DIR`; `Invalid` blames `ssh_key_path` or `passphrase`."""
    text = read_key_file(path)
    try:
        return parse_private_key(text, passphrase)
    except Invalid as error:
        if error.errors[0].field == "private_key":
            raise Invalid.field("ssh_key_path", error.detail) from error
        raise


def key_path(path: str | Path) -> Path:
    """The real path of a key file, which lies below the key directory after all links.

    The answer for "outside" and "not there" is the same, so that nobody can look around with it.
    """
    unusable = Invalid.field(
        "ssh_key_path", "There is no such file below the site's key directory (DGX_SSH_KEY_DIR)."
    )
    try:
        root = settings.SSH_KEY_DIR.resolve(strict=True)
        real = (root / Path(path).expanduser()).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise unusable from error
    if not real.is_relative_to(root) or not real.is_file():
        raise unusable
    return real


def generate() -> tuple[str, str]:
    """A new Ed25519 pair: the private text and the public line to append on the machine."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return private.decode(), public.decode() + " dgxsite"


def _normal(text: str) -> str:
    """Without BOM, carriage returns and outer blanks, which copying adds."""
    if len(text) > LIMIT_CHARACTERS:
        raise Invalid.field("private_key", _NOT_USABLE)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.strip() for line in lines).strip() + "\n"


def _check_form(text: str) -> bool:
    """Refuse by the header what is not one private key, or costs too much to open.

    Returns whether it is so cheap to open that no child process is needed, which is true of every
    key in the form in which the site keeps it.
    """
    kinds = _BEGIN.findall(text)
    if len(kinds) > 1:
        raise Invalid.field("private_key", "There is more than one key; give exactly one.")
    if not kinds or not kinds[0].endswith("PRIVATE KEY"):
        hints = [hint for pattern, hint in _HINTS if pattern.search(text)]
        raise Invalid.field("private_key", hints[0] if hints else _NOT_USABLE)
    if kinds[0] == "DSA PRIVATE KEY":
        raise Invalid.field("private_key", "DSA keys are too weak; use Ed25519.")
    if kinds[0] == "OPENSSH PRIVATE KEY":
        return _check_openssh_header(text)
    return False


def _check_openssh_header(text: str) -> bool:
    """The header stands in clear: OpenSSH's PROTOCOL.key, sections 1 and 2."""
    body = "".join(line for line in text.split("\n") if not line.startswith("-----"))
    try:
        data = base64.b64decode(body, validate=True)
        magic, rest = data[:15], data[15:]
        _, rest = _string(rest)  # cipher
        kdf, rest = _string(rest)
        options, rest = _string(rest)
        (count,) = struct.unpack_from(">I", rest)
        public, _ = _string(rest[4:])
        kind, _ = _string(public)
        rounds = struct.unpack(">I", _string(options)[1])[0] if kdf == b"bcrypt" else 0
    except (binascii.Error, struct.error, ValueError) as error:
        raise Invalid.field("private_key", _NOT_USABLE) from error
    if magic != b"openssh-key-v1\0" or kdf not in {b"bcrypt", b"none"}:
        raise Invalid.field("private_key", _NOT_USABLE)
    if rounds > BCRYPT_ROUNDS:
        raise Invalid.field(
            "private_key",
            f"The key asks for {rounds} bcrypt rounds; {BCRYPT_ROUNDS} at most are accepted.",
        )
    if count != 1:
        raise Invalid.field("private_key", "There is more than one key; give exactly one.")
    _check_kind(kind.decode("ascii", "replace"))
    return kdf == b"none" and len(text) <= _CHEAP_CHARACTERS


def _check_kind(kind: str) -> None:
    if kind.startswith("sk-"):
        raise Invalid.field("private_key", "Keys on a security token (FIDO) are not supported.")
    if kind == "ssh-dss":
        raise Invalid.field("private_key", "DSA keys are too weak; use Ed25519.")


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The first length-prefixed string and what follows; `ValueError` if it is cut short."""
    (length,) = struct.unpack_from(">I", data)
    if length > len(data) - 4:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]


@outside_database()
def _read_in_child(text: str, passphrase: str | None) -> dict[str, str]:
    request = json.dumps({"text": text, "passphrase": passphrase})
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_READER)],
            input=request.encode(),
            capture_output=True,
            timeout=_OPEN_SECONDS,
            env={"PATH": os.defpath},
            check=True,
        )
        answer: dict[str, str] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise Invalid.field("private_key", "This key takes too long to open.") from error
    return answer


def _file_text(path: Path) -> str:
    """Read through a handle that was checked: the file cannot be exchanged in between."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Invalid.field("ssh_key_path", _NOT_USABLE)
            return file.read(LIMIT_CHARACTERS + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid.field("ssh_key_path", "The key file cannot be read.") from error
