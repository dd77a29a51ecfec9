"""Rules of the site that no single part owns: passwords, encryption, logs, cookies, downloads."""

import logging
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils.module_loading import import_string

from accounts.models import User
from core.security import crypto
from dgxsite import settings as product
from dgxsite.logs import LineFormatter, OneLine, safe
from metrics.collectors.nvidia import query_xml
from metrics.collectors.tokens import Refusals
from tests import factories

_BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "{}">]><a><gpu>&x;</gpu></a>'
_EXTERNAL = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


@pytest.mark.parametrize("password", ["short7!", "password1", "iloveyou1", "12345678901"])
def test_short_common_and_numeric_passwords_are_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, User(username="somebody"))


def test_a_password_like_the_name_is_refused_and_a_long_one_is_not() -> None:
    with pytest.raises(ValidationError):
        validate_password("ferdinand2", User(username="ferdinand"))
    validate_password("a sentence of my own, with spaces " * 2, User(username="ferdinand"))


def test_passwords_are_stored_with_argon2() -> None:
    [name] = product.PASSWORD_HASHERS
    hasher = import_string(name)()
    assert isinstance(hasher, Argon2PasswordHasher)
    # What OWASP's cheat sheet asks of Argon2id: 19 MiB and two rounds at least.
    assert hasher.memory_cost >= 19 * 1024
    assert hasher.time_cost >= 2
    assert hasher.encode("word", "salt-of-16-bytes").startswith("argon2$argon2id$")


def test_an_altered_ciphertext_does_not_open() -> None:
    token = crypto.encrypt("a secret", "here")
    middle = len(token) // 2
    altered = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    with pytest.raises(crypto.SecretUnreadable):
        crypto.decrypt(altered, "here")
    with pytest.raises(crypto.SecretUnreadable):
        crypto.decrypt(token, "elsewhere")


def test_the_same_secret_is_never_encrypted_alike() -> None:
    tokens = {crypto.encrypt("a secret", "here") for _ in range(50)}
    assert len(tokens) == 50
    # AES-128-CBC under HMAC-SHA256, as Fernet's version 0x80 is defined.
    assert all(token.startswith("gAAAA") for token in tokens)
    assert len(Fernet.generate_key()) == 44


@pytest.mark.parametrize("break_", ["\n", "\r", "\x1b[2J", "\x00", "\u2028", "\x85"])
def test_what_was_sent_cannot_start_a_line_in_the_log(break_: str) -> None:
    sent = f"name{break_}ERROR forged: line"
    record = logging.LogRecord("x", logging.INFO, "f", 1, "machine %s", (sent,), None)
    OneLine().filter(record)
    line = LineFormatter().format(record)
    assert break_ not in line
    assert "forged" in line


def test_tokens_and_private_keys_are_masked_in_the_log() -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"
    assert safe(f"a dgx_{'x' * 40} b {key} c") == "a [secret] b [secret] c"


@pytest.mark.parametrize("document", [_BOMB.format("y" * 10), _EXTERNAL])
def test_xml_with_entities_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="entities"):
        query_xml.parse(document, Refusals())


def test_the_session_cookie_is_not_for_scripts(db: None, redis_client: object) -> None:
    factories.make_user("somebody")
    client = Client()
    client.post("/accounts/login/", {"login": "somebody", "password": "password"})
    cookie = client.cookies[product.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_logging_out_ends_the_session_for_good(db: None, redis_client: object) -> None:
    client = Client()
    client.force_login(factories.make_user())
    kept = client.cookies[product.SESSION_COOKIE_NAME].value
    assert client.get("/").status_code == 200
    client.post("/accounts/logout/")
    client.cookies[product.SESSION_COOKIE_NAME] = kept
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    "path", ["/", "/account/", "/teams/", "/notifications/", "/machines/trash"]
)
def test_every_page_has_a_way_to_log_out(db: None, redis_client: object, path: str) -> None:
    client = Client()
    client.force_login(factories.make_user())
    page = client.get(path).content.decode()
    assert 'action="/accounts/logout/"' in page


def test_a_download_has_a_name_of_ours(db: None, redis_client: object) -> None:
    client = Client()
    client.force_login(factories.make_user(is_superuser=True))
    answer: Any = client.get("/audit/csv", {"filename": 'x"; evil', "name": "../../x"})
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="dgxsite-audit-')
    assert "evil" not in answer.headers["Content-Disposition"]
