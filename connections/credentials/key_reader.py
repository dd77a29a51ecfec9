"""Opens one private key; runs as a program of its own, so that a hostile key can be killed.

Reads `{"text", "passphrase"}` as JSON from stdin and writes one JSON object to stdout: either
`{"kind", "fingerprint", "public_line", "private_text"}` or `{"error", "field"}`. It imports no
part of the site and opens no file. A key that wants too much time or memory ends the process.
"""

import base64
import hashlib
import json
import resource
import sys
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

_CPU_SECONDS = 4
_MEMORY_BYTES = 1024 * 1024 * 1024
_RSA_BITS = 2048

_NOT_USABLE = "This is not a usable private key."
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


class Refused(Exception):
    """Why the key is not taken, and which field is to blame."""

    def __init__(self, message: str, field: str = "private_key") -> None:
        super().__init__(message)
        self.message, self.field = message, field


def answer(text: str, passphrase: str | None) -> dict[str, str]:
    """The key, or the error and the field that is to blame."""
    try:
        return _open(text, passphrase)
    except Refused as refused:
        return {"error": refused.message, "field": refused.field}
    except (ValueError, TypeError, UnsupportedAlgorithm, MemoryError):
        return {"error": _NOT_USABLE, "field": "private_key"}


def _open(text: str, passphrase: str | None) -> dict[str, str]:
    """What the site keeps of a key: the key itself without passphrase, and its public half."""
    key = _load(text.encode(), passphrase.encode() if passphrase else None)
    _check_strength(key)
    public_line = _public_line(key)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    kind, blob = public_line.split(" ")[:2]
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode()
    return {
        "kind": kind,
        "fingerprint": "SHA256:" + digest.rstrip("="),
        "public_line": public_line,
        "private_text": private.decode(),
    }


def _load(data: bytes, passphrase: bytes | None) -> Any:
    load = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH PRIVATE KEY" in data
        else serialization.load_pem_private_key
    )
    try:
        return load(data, passphrase)
    except TypeError as error:
        if passphrase is None:
            raise Refused("The key has a passphrase; give it too.", "passphrase") from error
        return load(data, None)  # a passphrase was given that the key does not need
    except ValueError as error:
        if passphrase is not None:
            raise Refused("The passphrase does not open this key.", "passphrase") from error
        raise


def _check_strength(key: Any) -> None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _RSA_BITS:
        raise Refused(f"An RSA key needs {_RSA_BITS} bits at least; this one has {key.key_size}.")
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES:
        raise Refused("This elliptic curve is not supported: use P-256, P-384 or P-521.")
    known = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)
    if not isinstance(key, known):
        raise Refused("This kind of key is not supported: use Ed25519, ECDSA or RSA.")


def _public_line(key: Any) -> str:
    line: bytes = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return line.decode()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = json.load(sys.stdin)
    json.dump(answer(request["text"], request["passphrase"]), sys.stdout)


if __name__ == "__main__":
    main()
