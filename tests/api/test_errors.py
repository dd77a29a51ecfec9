"""Whatever is sent, the answer is a problem in one shape and never a fault of ours."""

import json
from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.api.client import Api
from tests.api.conftest import World

SHAPE = {"type", "title", "status", "detail", "code", "errors"}


def assert_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == SHAPE
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", "/api/v1/nothing", "/api/v2/connections", "/api/v1/connections/"]
)
def test_unknown_path_is_a_problem(world: World, path: str) -> None:
    assert_problem(Client().get(path), 404)
    assert_problem(Client(enforce_csrf_checks=True).post(path), 404)


@pytest.mark.parametrize("path", ["/api/health", "/api/v1/connections", "/api/metrics"])
def test_wrong_method_is_a_problem_with_allow(world: World, path: str) -> None:
    answer = Client().put(path)
    assert_problem(answer, 405)
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize("later", ["tunnels", "containers", "terminal"])
def test_what_is_not_built_yet_is_not_there(world: World, later: str) -> None:
    assert_problem(world.admin.get(f"/connections/{world.machine.pk}/{later}"), 404)


@pytest.mark.parametrize(
    "text",
    ["1", "not-a-uuid", "%00", "..", "00000000-0000-0000-0000-00000000000g", "a" * 3000, "%ff"],
)
def test_an_id_that_cannot_be_one_is_not_there(world: World, text: str) -> None:
    for suffix in ("", "/status", "/metrics", "/metrics/recent"):
        answer = world.admin.get(f"/connections/{text}{suffix}")
        assert_problem(answer, 404)


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_other_spellings_of_a_uuid_do_no_harm(world: World, form: str) -> None:
    spelled = form.format(str(world.machine.pk).upper())
    assert world.admin.get(f"/connections/{spelled}").status_code in {200, 404}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"port": Infinity}',
        b'{"port": -Infinity}',
        b'{"port": 1e999}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"name": "a", "name": "b"}',
        b'{"port": ' + b"9" * 5000 + b"}",
        b'{"port": 9223372036854775808}',
        b"[" * 100_000,
        b'{"tags":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"a":' * 100_000,
        b'"' + b'\\"' * 400_000,
    ],
)
def test_strange_json_is_refused(world: World, raw: bytes) -> None:
    assert_problem(world.admin.raw("/connections", raw), 422)


def test_a_body_beyond_a_mebibyte_is_too_large(world: World) -> None:
    answer = world.admin.raw("/connections", b'{"name":"' + b"x" * 1_100_000 + b'"}')
    assert_problem(answer, 413)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/json", ""]
)
def test_a_body_that_is_not_called_json_is_refused(world: World, content_type: str) -> None:
    assert_problem(world.admin.raw("/connections", b'{"name":"x"}', content_type), 415)


def test_a_compressed_body_is_refused(world: World) -> None:
    answer = world.admin.post("/connections", {"name": "x"}, **{"Content-Encoding": "gzip"})
    assert_problem(answer, 415)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "-1"},
        {"limit": "0"},
        {"limit": "501"},
        {"limit": str(10**9)},
        {"limit": "abc"},
        {"limit": "1e3"},
        {"limit": "9" * 5000},
        {"offset": "-1"},
        {"offset": str(2**63)},
        {"offset": "\x00"},
    ],
)
def test_page_out_of_bounds_is_refused(world: World, query: dict[str, str]) -> None:
    assert_problem(world.admin.get("/connections", **query), 422)


def test_a_repeated_parameter_does_no_harm(world: World) -> None:
    answer = Api(factories.make_token(world.owner))._client.get(
        "/api/v1/connections?limit=1&limit=2&limit[]=3"
    )
    assert answer.status_code == 200


def test_the_largest_page_is_allowed(world: World) -> None:
    assert world.admin.get("/connections", limit="500", offset="0").status_code == 200


def test_a_foreign_host_header_is_refused(world: World) -> None:
    assert Client(headers={"Host": "evil.example"}).get("/api/health").status_code == 400


def test_errors_do_not_repeat_what_was_sent(world: World) -> None:
    answer = world.admin.post("/connections", {"name": 1, "password": "canary-1", "x": "canary-2"})
    assert b"canary" not in answer.content


def test_a_fault_of_ours_is_told_without_its_inside(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("inside-canary")

    monkeypatch.setattr("connections.services.visible", broken)
    answer = world.admin.get("/connections")
    assert_problem(answer, 500)
    assert b"inside-canary" not in answer.content
    assert "inside-canary" in caplog.text


def test_openapi_and_docs_are_for_people_who_are_logged_in(world: World) -> None:
    assert_problem(Client().get("/api/v1/openapi.json"), 401)
    assert_problem(Client().get("/api/v1/docs"), 401)
    in_browser = Client(headers={"Accept": "text/html"}).get("/api/v1/docs")
    assert (in_browser.status_code, in_browser["Location"]) == (302, "/accounts/login/")
    schema = world.viewer.get("/openapi.json")
    assert schema.status_code == 200
    assert "/api/v1/connections/{connection_id}/connect" in schema.json()["paths"]
    docs = world.viewer.get("/docs")
    assert docs.status_code == 200
    assert b"<script>" not in docs.content
    json.dumps(schema.json())
