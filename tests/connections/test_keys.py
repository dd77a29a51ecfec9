"""Private keys as people paste them: every usable form works, every hostile one is cheap."""

import base64
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from connections.credentials import keys
from core.errors import Invalid
from tests.programs import require_program

PASSPHRASE = "correct horse"
SSH, PKCS8, TRADITIONAL = (
    serialization.PrivateFormat.OpenSSH,
    serialization.PrivateFormat.PKCS8,
    serialization.PrivateFormat.TraditionalOpenSSL,
)


def pem(key: Any, form: Any = SSH, passphrase: str | None = None) -> str:
    protection: Any = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    return str(key.private_bytes(serialization.Encoding.PEM, form, protection).decode())


ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def refused(text: str, passphrase: str | None = None) -> tuple[str, str]:
    """The blamed field and the sentence."""
    with pytest.raises(Invalid) as caught:
        keys.parse_private_key(text, passphrase)
    error = caught.value.errors[0]
    return error.field, error.message


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize(
    ("key", "kind", "form"),
    [
        (ED25519, "ssh-ed25519", SSH),
        (ED25519, "ssh-ed25519", PKCS8),
        (P256, "ecdsa-sha2-nistp256", SSH),
        (P256, "ecdsa-sha2-nistp256", PKCS8),
        (P256, "ecdsa-sha2-nistp256", TRADITIONAL),
        (RSA, "ssh-rsa", SSH),
        (RSA, "ssh-rsa", PKCS8),
        (RSA, "ssh-rsa", TRADITIONAL),
    ],
)
def test_usual_keys_work_with_and_without_passphrase(
    key: Any, kind: str, form: Any, passphrase: str | None
) -> None:
    parsed = keys.parse_private_key(pem(key, form, passphrase), passphrase)
    assert parsed.kind == kind
    assert parsed.public_line.startswith(kind + " ")
    assert parsed.fingerprint.startswith("SHA256:")
    assert "BEGIN OPENSSH PRIVATE KEY" in parsed.private_text
    again = keys.parse_private_key(parsed.private_text)
    assert again.fingerprint == parsed.fingerprint


def test_the_fingerprint_is_the_one_of_ssh_keygen(tmp_path: Path) -> None:
    program = require_program("ssh-keygen")
    path = tmp_path / "key"
    subprocess.run([program, "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", path], check=True)
    shown = subprocess.run([program, "-lf", path], check=True, capture_output=True, text=True)
    parsed = keys.parse_private_key(path.read_text(), PASSPHRASE)
    assert parsed.fingerprint == shown.stdout.split()[1]
    assert path.with_suffix(".pub").read_text().startswith(parsed.public_line)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "\n\n  " + text.replace("\n", "  \n") + "\n \n",
        lambda text: text.rstrip("\n"),
    ],
)
def test_what_copying_adds_is_taken_off(change: Any) -> None:
    assert keys.parse_private_key(change(pem(ED25519))).kind == "ssh-ed25519"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "garbage",
        "\x00" * 100,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "A" * 60_000,
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "x" * 10_000_000,
        "-----BEGIN " * 5000,
    ],
)
def test_garbage_is_no_key(text: str) -> None:
    field, message = refused(text)
    assert field == "private_key"
    assert message == "This is not a usable private key."


@pytest.mark.parametrize("form", [SSH, PKCS8, TRADITIONAL])
def test_a_truncated_key_is_no_key(form: Any) -> None:
    lines = pem(RSA, form).splitlines()
    assert refused("\n".join([*lines[:5], lines[-1]]))[0] == "private_key"


def openssh_header(kdf: bytes, rounds: int, kind: bytes = b"ssh-ed25519", count: int = 1) -> str:
    """An OpenSSH key that is nothing but a header."""

    def string(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + data

    options = string(b"s" * 16) + struct.pack(">I", rounds) if kdf == b"bcrypt" else b""
    data = b"openssh-key-v1\0" + string(b"aes256-ctr") + string(kdf) + string(options)
    data += struct.pack(">I", count) + string(string(kind) + string(b"x" * 32)) + string(b"y" * 64)
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize("rounds", [65, 2000, 2**31, 2**32 - 1])
def test_bcrypt_rounds_are_refused_from_the_header(rounds: int) -> None:
    began = time.process_time()
    field, message = refused(openssh_header(b"bcrypt", rounds), PASSPHRASE)
    assert time.process_time() - began < 0.5
    assert (field, str(rounds) in message) == ("private_key", True)


def test_a_key_that_is_slow_to_open_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """PBKDF2's iteration count stands deep inside PKCS #8; here the child's deadline holds."""
    program = require_program("openssl")
    command = [program, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:x"]
    made = subprocess.run(
        [*command, "-iter", str(0x010000)],
        input=pem(P256, PKCS8).encode(),
        capture_output=True,
        check=True,
    ).stdout
    der = base64.b64decode(b"".join(made.splitlines()[1:-1]))
    slow = der.replace(b"\x02\x03\x01\x00\x00", b"\x02\x03\x7f\xff\xff")
    assert slow != der
    body = base64.encodebytes(slow).decode()
    text = f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}-----END ENCRYPTED PRIVATE KEY-----\n"
    monkeypatch.setattr(keys, "_OPEN_SECONDS", 1.0)
    assert refused(text, "x") == ("private_key", "This key takes too long to open.")


def test_wrong_and_missing_passphrase_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for form in (SSH, PKCS8):
        text = pem(ED25519, form, PASSPHRASE)
        assert refused(text, "wrong-canary") == (
            "passphrase",
            "The passphrase does not open this key.",
        )
        assert refused(text) == ("passphrase", "The key has a passphrase; give it too.")
    assert "canary" not in caplog.text


def test_an_unneeded_passphrase_does_no_harm() -> None:
    assert keys.parse_private_key(pem(ED25519), "unneeded").kind == "ssh-ed25519"
    assert keys.parse_private_key(pem(RSA, PKCS8), "unneeded").kind == "ssh-rsa"


def test_weak_and_unknown_kinds_say_why() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert "2048" in refused(pem(weak))[1]
    old = dsa.generate_private_key(key_size=1024)
    assert "DSA" in refused(pem(old, TRADITIONAL))[1]
    assert refused(pem(old, PKCS8))[0] == "private_key"
    assert "not supported" in refused(pem(ed448.Ed448PrivateKey.generate(), PKCS8))[1]
    assert "curve" in refused(pem(ec.generate_private_key(ec.SECP256K1()), PKCS8))[1]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "PuTTY"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINda somebody", "public half"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA somebody", "certificate"),
        ("sk-ssh-ed25519@openssh.com AAAA somebody", "FIDO"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "public half"),
        (openssh_header(b"none", 0, b"sk-ssh-ed25519@openssh.com"), "FIDO"),
        (openssh_header(b"none", 0, b"ssh-dss"), "DSA"),
        (openssh_header(b"none", 0, count=2), "more than one"),
        (pem(ED25519) + pem(P256), "more than one"),
    ],
)
def test_what_is_not_a_private_key_gets_a_hint(text: str, hint: str) -> None:
    assert hint in refused(text)[1]


def test_a_key_never_shows_itself() -> None:
    parsed = keys.parse_private_key(pem(ED25519))
    assert parsed.private_text.splitlines()[1] not in repr(parsed)


def test_a_generated_pair_belongs_together() -> None:
    private, public = keys.generate()
    assert public.startswith(keys.parse_private_key(private).public_line)


# --- Files -------------------------------------------------------------------------------------


@pytest.fixture
def key_dir(tmp_path: Path, settings: Any) -> Path:
    directory = tmp_path / "keys"
    directory.mkdir()
    settings.SSH_KEY_DIR = directory
    (directory / "id_ed25519").write_text(pem(ED25519))
    return directory


def test_a_key_file_by_name_or_full_path(key_dir: Path) -> None:
    for path in ("id_ed25519", str(key_dir / "id_ed25519")):
        assert keys.parse_key_file(path).kind == "ssh-ed25519"


def test_places_outside_look_like_places_that_are_not(key_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(pem(ED25519))
    (key_dir / "link").symlink_to(tmp_path / "outside")
    (key_dir / "loop").symlink_to(key_dir / "loop")
    (key_dir / "folder").mkdir()
    paths = ("../outside", "link", "loop", "folder", "nothing", "/etc/passwd", "", "a\x00b", "~x")
    messages = set()
    for path in (*paths, str(tmp_path / "outside"), "x" * 5000):
        with pytest.raises(Invalid) as caught:
            keys.parse_key_file(path)
        assert caught.value.errors[0].field == "ssh_key_path"
        messages.add(caught.value.detail)
    assert len(messages) == 1


def test_a_file_that_is_no_key_blames_the_path(key_dir: Path) -> None:
    (key_dir / "bad").write_text("garbage")
    (key_dir / "binary").write_bytes(b"\xff\xfe")
    (key_dir / "huge").write_text("x" * 10_000_000)
    for name in ("bad", "binary", "huge"):
        with pytest.raises(Invalid) as caught:
            keys.parse_key_file(name)
        assert caught.value.errors[0].field == "ssh_key_path"
