"""What browsers report about the policy: one safe line each, bounded, and always 204."""

import json
import logging
from typing import Any

import pytest
from django.test import Client

from dgxsite.http import csp_reports

CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def fresh_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csp_reports, "_budget", csp_reports.Budget(csp_reports.LINES_PER_MINUTE))


def old(**fields: Any) -> dict[str, Any]:
    """The body of `report-uri`."""
    return {
        "csp-report": {
            "document-uri": f"https://dgx.example.org/setup/{CANARY}?q={CANARY}",
            "referrer": f"https://dgx.example.org/join/{CANARY}",
            "violated-directive": "script-src-elem",
            "effective-directive": "script-src-elem",
            "original-policy": CANARY,
            "disposition": "enforce",
            "blocked-uri": f"https://evil.example:8443/{CANARY}?{CANARY}",
            "line-number": 12,
            "source-file": f"https://dgx.example.org/join/{CANARY}",
            "script-sample": CANARY,
        }
        | fields
    }


def new(**fields: Any) -> list[dict[str, Any]]:
    """The body of `report-to`."""
    body = {
        "documentURL": f"https://dgx.example.org/join/{CANARY}",
        "blockedURL": "inline",
        "effectiveDirective": "style-src-attr",
        "disposition": "enforce",
        "sample": CANARY,
        "lineNumber": 3,
    }
    return [{"type": "csp-violation", "url": CANARY, "user_agent": CANARY, "body": body | fields}]


def post(body: Any, content_type: str = "application/csp-report") -> int:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.post("/csp-reports", data, content_type=content_type).status_code


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "dgxsite.http.csp_reports"]


@pytest.mark.django_db
def test_a_report_is_one_line_with_the_route_and_the_origin(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert post(old()) == 204
    [line] = lines(caplog)
    assert line == (
        "page broke its policy: directive=script-src-elem blocked=https://evil.example:8443 "
        "route=/setup/<str:token> line=12 disposition=enforce"
    )


@pytest.mark.django_db
def test_the_reporting_api_is_understood_too(caplog: pytest.LogCaptureFixture) -> None:
    assert post(new(), "application/reports+json") == 204
    [line] = lines(caplog)
    assert line == (
        "page broke its policy: directive=style-src-attr blocked=inline "
        "route=/join/<str:secret> line=3 disposition=enforce"
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {"blocked-uri": CANARY},
        {"blocked-uri": f"https://[{CANARY}"},
        {"blocked-uri": {"a": CANARY}},
        {"effective-directive": f"{CANARY} x"},
        {"effective-directive": [CANARY]},
        {"document-uri": f"https://dgx.example.org/no/such/{CANARY}"},
        {"document-uri": f"http://[{CANARY}"},
        {"line-number": CANARY},
        {"disposition": CANARY},
    ],
)
def test_nothing_that_could_be_a_secret_reaches_the_log(
    caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    assert post(old(**fields)) == 204
    assert len(lines(caplog)) == 1
    assert not [line for line in lines(caplog) if CANARY in line]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[1, null, {}]",
        b'{"csp-report": []}',
        b"[" * 5000,
        b'[{"type": "deprecation", "body": {}}]',
        json.dumps(old(padding="x" * csp_reports.LIMIT_BYTES)).encode(),
    ],
)
def test_nonsense_and_too_much_is_answered_alike_and_not_logged(
    caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    assert post(body) == 204
    assert lines(caplog) == []


@pytest.mark.django_db
def test_a_flood_writes_no_more_than_the_budget(caplog: pytest.LogCaptureFixture) -> None:
    small = {"type": "csp-violation", "body": {"blockedURL": "eval"}}
    for _ in range(csp_reports.LINES_PER_MINUTE):
        assert post([small] * 30, "application/reports+json") == 204
    # The minute may turn in between.
    assert len(lines(caplog)) <= 2 * csp_reports.LINES_PER_MINUTE + 1


def test_the_next_minute_says_what_was_missed() -> None:
    budget = csp_reports.Budget(2)
    allowed = [budget.take(now) for now in (0, 1, 2, 3)]
    assert allowed == [(True, 0), (True, 0), (False, 0), (False, 0)]
    assert budget.take(60) == (True, 2)


@pytest.mark.django_db
def test_only_a_post_is_taken() -> None:
    assert Client().get("/csp-reports").status_code == 405


@pytest.mark.django_db
def test_every_page_names_the_endpoint() -> None:
    answer = Client().get("/accounts/login/")
    policy = answer["Content-Security-Policy"]
    assert "report-uri /csp-reports" in policy
    assert "report-to" not in policy  # that is for https, where it replaces the other
    assert answer["Reporting-Endpoints"] == 'csp="/csp-reports"'
