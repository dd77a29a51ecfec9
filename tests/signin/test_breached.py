"""Passwords that stand in the downloaded list of breached ones."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.signin.breached_passwords import KnownFromBreaches, contains

COUNT = 300


def digest(password: str) -> bytes:
    return hashlib.sha1(password.encode()).hexdigest().upper().encode()


@pytest.fixture
def breached(tmp_path: Path) -> Path:
    hashes = sorted(digest(f"breached-{number}") for number in range(COUNT))
    path = tmp_path / "pwned.txt"
    path.write_bytes(
        b"".join(b"%s:%d\r\n" % (one, 7**index % 99) for index, one in enumerate(hashes))
    )
    return path


def test_finds_every_line_and_nothing_else(breached: Path) -> None:
    assert all(contains(breached, digest(f"breached-{number}")) for number in range(COUNT))
    assert not any(contains(breached, digest(f"other-{number}")) for number in range(COUNT))
    assert not contains(breached, b"0" * 40)
    assert not contains(breached, b"F" * 40)


@pytest.mark.parametrize("text", [b"", b"\n", b"A" * 40, b"no list of hashes\n" * 9])
def test_odd_files_hold_nothing_else(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(text)
    assert not contains(path, digest("x"))
    assert contains(path, b"A" * 40) is (text == b"A" * 40)


def test_a_password_from_the_list_is_refused(settings: Any, breached: Path) -> None:
    validator = {
        "NAME": "accounts.signin.breached_passwords.KnownFromBreaches",
        "OPTIONS": {"path": str(breached)},
    }
    validate_password("breached-7")
    settings.AUTH_PASSWORD_VALIDATORS = [*settings.AUTH_PASSWORD_VALIDATORS, validator]
    validate_password("a-long-Passw0rd-x")
    with pytest.raises(ValidationError, match="known from a breach"):
        validate_password("breached-7")


def test_a_lost_list_keeps_nobody_out_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KnownFromBreaches(str(tmp_path / "gone.txt")).validate("breached-7")
    assert "DGX_BREACHED_PASSWORDS cannot be read" in caplog.text
