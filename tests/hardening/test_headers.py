"""Every address, knocked at by a stranger and by a superuser: what each response has to carry.

The crawl runs with the settings of a site behind https; they are computed by the product itself in
a process of its own.
"""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from core.web.body_limit import BodyLimit
from tests import factories
from tests.access.addresses import address_of, every_route
from tests.access.cast import make_cast
from tests.undone import undone

ROOT = Path(__file__).resolve().parents[2]
YEAR_SECONDS = 31_536_000
# What `DGX_BASE_URL` decides.
_HTTPS_SETTINGS = (
    "HTTPS",
    "BASE_URL",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_NAME",
    "CSRF_COOKIE_SECURE",
    "CSRF_COOKIE_NAME",
    "SECURE_HSTS_SECONDS",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "CONTENT_SECURITY_POLICY",
)
_DUMP = (
    "import json, dgxsite.settings as s;"
    f"print(json.dumps({{name: getattr(s, name, None) for name in {_HTTPS_SETTINGS!r}}}))"
)
# Scripts with their text in the page, styles in attributes, handlers in attributes.
_INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")[^>]*>|<style\b"
    r"|<[a-z][^<>]*\s(?:style|on[a-z]+)=[\"']",
    re.IGNORECASE,
)


def production(base_url: str) -> dict[str, Any]:
    """What the product's settings say for this address of the site."""
    environment = os.environ | {"DGX_BASE_URL": base_url, "DJANGO_SETTINGS_MODULE": ""}
    done = subprocess.run(
        [sys.executable, "-c", _DUMP], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def https(settings: Any) -> str:
    """The site as it is behind a proxy with TLS; its address."""
    for name, value in production("https://dgx.example.org").items():
        setattr(settings, name, value)
    return "dgx.example.org"


def faults(answer: Any, *, https: bool) -> list[str]:
    """What is missing on a response; empty when all is there."""
    policy = directives(answer.headers.get("Content-Security-Policy", ""))
    wanted = {
        "default-src none": policy.get("default-src") == "'none'",
        "frame-ancestors none": policy.get("frame-ancestors") == "'none'",
        "object-src none": policy.get("object-src") == "'none'",
        "base-uri none": policy.get("base-uri") == "'none'",
        "a policy without unsafe words": policy and "unsafe" not in " ".join(policy.values()),
        "reports": policy.get("report-uri") == "/csp-reports",
        "reports over TLS": (policy.get("report-to") == "csp") == https,
        "nosniff": answer.headers.get("X-Content-Type-Options") == "nosniff",
        "referrer": answer.headers.get("Referrer-Policy") == "same-origin",
        "opener": answer.headers.get("Cross-Origin-Opener-Policy") == "same-origin",
        "permissions": "camera=()" in answer.headers.get("Permissions-Policy", ""),
        "no-store": "no-store" in answer.headers.get("Cache-Control", ""),
        "no server name": "Server" not in answer.headers,
        "no inline code": not inline_code(answer),
        "all of the domain": "includeSubDomains" in hsts(answer) or not https,
        "hsts": (hsts_seconds(answer) >= YEAR_SECONDS) == https,
    }
    found = [name for name, is_there in wanted.items() if not is_there]
    return found + [f"cookie {name}" for name in bad_cookies(answer, https=https)]


def directives(policy: str) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in policy.split(";") if part.strip())
    return {name: value for name, _, value in parts}


def hsts(answer: Any) -> str:
    return str(answer.headers.get("Strict-Transport-Security", ""))


def hsts_seconds(answer: Any) -> int:
    match = re.search(r"max-age=(\d+)", hsts(answer))
    return int(match[1]) if match else 0


def inline_code(answer: Any) -> bool:
    """Whether the page stands on code that its own policy forbids."""
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    return is_page and bool(_INLINE.search(content(answer)))


def content(answer: Any) -> str:
    body = b"".join(answer) if answer.streaming else answer.content
    return body.decode(errors="replace")


def bad_cookies(answer: Any, *, https: bool) -> list[str]:
    bad = []
    for name, cookie in answer.cookies.items():
        is_bound = name.startswith("__Host-") and bool(cookie["secure"]) and not cookie["domain"]
        is_own = cookie["samesite"] in {"Lax", "Strict"} and cookie["path"] == "/"
        if not is_own or (https and not is_bound):
            bad.append(name)
    return bad


def crawl(client: Client, values: dict[str, Any], *, https: bool) -> tuple[dict[str, Any], int]:
    """The faults by address, and how many answers there were."""
    found: dict[str, Any] = {}
    count = 0
    for route in every_route():
        path = address_of(route, values).path
        for method in ("get", "post"):
            answer = knock(client, method, path)
            count += 1
            if wrong := faults(answer, https=https):
                found[f"{method} {path} {answer.status_code}"] = wrong
    return found, count


def knock(client: Client, method: str, path: str) -> Any:
    """One request, whose effects are undone."""
    cookies = copy.deepcopy(client.cookies)
    with undone():
        answer = getattr(client, method)(path)
    client.cookies = cookies
    return answer


@pytest.mark.timeout(400)  # some 150 addresses
@pytest.mark.parametrize("visitor", ["anonymous", "superuser"])
def test_every_response_carries_what_protects_it(
    db: None, redis_client: object, https: str, visitor: str
) -> None:
    cast = make_cast()
    client = visiting(https)
    if visitor != "anonymous":
        client.force_login(cast.users[visitor])
    found, count = crawl(client, cast.values, https=True)
    assert count > 200
    assert found == {}
    assert ("_auth_user_id" in client.session) == (visitor != "anonymous")


class OverTls(Client):
    """Its requests look as `dgxsite.http.proxies` lets them through from a proxy with TLS."""

    def generic(self, *args: Any, **kwargs: Any) -> Any:
        return super().generic(*args, **(kwargs | {"secure": True}))


def visiting(host: str) -> Client:
    return OverTls(headers={"Host": host}, raise_request_exception=False)


def test_error_pages_carry_it_too(
    db: None, redis_client: object, https: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = visiting(https)
    strange = visiting("evil.example")
    forged = OverTls(headers={"Host": https}, enforce_csrf_checks=True)
    answers = {
        404: client.get("/there/is/no/such/page"),
        400: strange.get("/accounts/login/"),
        403: forged.post("/accounts/login/", {"login": "a", "password": "b"}),
        405: client.delete("/csp-reports"),
        401: client.get("/api/v1/connections"),
    }
    monkeypatch.setattr("dgxsite.health.ask_all", lambda: 1 // 0)
    answers[500] = client.get("/api/health")
    assert {status: answer.status_code for status, answer in answers.items()} == {
        status: status for status in answers
    }
    wrong = {status: faults(answer, https=True) for status, answer in answers.items()}
    assert {status: names for status, names in wrong.items() if names} == {}


@pytest.mark.parametrize("base_url", ["", "http://dgx.example.org"])
def test_a_site_without_tls_promises_none(base_url: str) -> None:
    found = production(base_url)
    assert not found["HTTPS"]
    assert found["SECURE_HSTS_SECONDS"] == 0
    assert not found["SESSION_COOKIE_NAME"].startswith("__Host-")


def test_plain_pages_have_all_the_rest(db: None, redis_client: object) -> None:
    client = Client()
    assert faults(client.get("/accounts/login/"), https=False) == []
    client.force_login(factories.make_user())
    assert faults(client.get("/"), https=False) == []


def test_static_files_are_kept_for_ever_and_have_a_policy(
    db: None, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "site.0123456789ab.css").write_text("body {}")
    (tmp_path / "plain.svg").write_text("<svg/>")
    settings.STATIC_ROOT = str(tmp_path)
    settings.WHITENOISE_USE_FINDERS = False
    client = Client()
    hashed = client.get("/static/site.0123456789ab.css")
    plain = client.get("/static/plain.svg")
    assert (hashed.status_code, plain.status_code) == (200, 200)
    assert "max-age=" in plain["Cache-Control"]
    for answer in (hashed, plain):
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert directives(answer["Content-Security-Policy"])["default-src"] == "'none'"


async def test_an_answer_before_django_carries_it_too(https: str) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 200, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    await BodyLimit(app, limit=100)({"type": "http"}, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert sent[0]["status"] == 413
    answer = HttpResponse(status=413, headers=headers)
    # The bare policy stops everything, so there is nothing to report.
    assert faults(answer, https=True) == ["reports", "reports over TLS"]
