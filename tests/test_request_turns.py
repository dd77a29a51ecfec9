"""One caller's requests take turns, and keep nobody else waiting."""

import asyncio
from typing import Any

import pytest

from dgxsite import request_turns
from dgxsite.errors import TooMany
from dgxsite.request_turns import AT_ONCE, Turns


class Kitchen:
    """An application whose requests are worked on until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = asyncio.Event()
        self.pauses = False
        self.site = Turns(self._work)

    async def _work(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        self.begun.append(scope["name"])
        if self.pauses:
            with request_turns.paused():
                await self.go.wait()
        else:
            await self.go.wait()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    def ask(
        self, name: str, token: str = "", path: str = "/api/v1/jobs", address: str = "a"
    ) -> Any:
        """A request, on its way."""
        headers = [(b"authorization", token.encode())] if token else []
        scope = {
            "type": "http", "name": name, "path": path, "headers": headers,
            "client": (address, 1),
        }  # fmt: skip
        messages = iter(
            [
                {"type": "http.request", "body": b"", "more_body": True},
                {"type": "http.request", "body": b"", "more_body": False},
            ]
        )

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            pass

        return asyncio.create_task(self.site(scope, receive, send))


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_few_of_one_caller_and_all_of_another() -> None:
    kitchen = Kitchen()
    mine = [kitchen.ask(f"mine {n}", "me") for n in range(50)]
    await settled()
    assert kitchen.begun == [f"mine {n}" for n in range(AT_ONCE)]
    others = [kitchen.ask("other", "you"), kitchen.ask("health", "me", "/api/health")]
    await settled()
    assert kitchen.begun[AT_ONCE:] == ["other", "health"]
    kitchen.go.set()
    await asyncio.gather(*mine, *others)
    assert len(kitchen.begun) == 52
    assert not kitchen.site._lines


async def test_callers_without_login_have_their_address() -> None:
    kitchen = Kitchen()
    here = [kitchen.ask("here", address="a") for _ in range(30)]
    await settled()
    assert len(kitchen.begun) == request_turns.AT_ONCE_WITHOUT_LOGIN
    there = kitchen.ask("there", address="b")
    await settled()
    assert kitchen.begun[-1] == "there"
    kitchen.go.set()
    await asyncio.gather(*here, there)


async def test_who_waits_outside_lets_the_next_one_go_on() -> None:
    kitchen = Kitchen()
    kitchen.pauses = True
    asked = [kitchen.ask(f"{n}", "me") for n in range(3 * AT_ONCE)]
    await settled()
    await settled()
    assert len(kitchen.begun) == 3 * AT_ONCE
    kitchen.go.set()
    await asyncio.gather(*asked)
    assert not kitchen.site._lines


async def test_who_goes_while_waiting_leaves_the_line() -> None:
    kitchen = Kitchen()
    asked = [kitchen.ask(f"{n}", "me") for n in range(AT_ONCE + 3)]
    await settled()
    asked[AT_ONCE].cancel()  # has not begun
    asked[0].cancel()  # has begun
    await settled()
    assert kitchen.begun == [*map(str, range(AT_ONCE)), str(AT_ONCE + 1)]
    kitchen.go.set()
    await asyncio.gather(*asked, return_exceptions=True)
    assert not kitchen.site._lines


async def test_too_many_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_turns, "MOST_WAITING", 2)
    kitchen = Kitchen()
    asked = [kitchen.ask(f"{n}", "me") for n in range(AT_ONCE + 3)]
    await settled()
    kitchen.go.set()
    *served, last = await asyncio.gather(*asked, return_exceptions=True)
    assert served == [None] * len(served)
    assert isinstance(last, TooMany)
    assert last.retry_after


def caller(path: str, *headers: tuple[bytes, bytes]) -> str:
    return request_turns._caller({"path": path, "headers": headers, "client": ("a", 1)})[0]


def test_a_login_is_one_caller_whatever_else_it_sends() -> None:
    alone = caller("/jobs/", (b"cookie", b"sessionid=abc"))
    assert caller("/jobs/", (b"cookie", b"theme=dark; sessionid=abc; csrftoken=x")) == alone
    assert caller("/jobs/", (b"cookie", b"a=b"), (b"cookie", b"sessionid=abc")) == alone
    assert caller("/jobs/", (b"cookie", b"sessionid=x; y[=1; sessionid=abc")) == alone
    assert caller("/jobs/", (b"authorization", b"x"), (b"cookie", b"sessionid=abc")) == alone
    assert caller("/jobs/", (b"cookie", b"\xff=;;[")) == "address a"


def test_the_api_goes_by_its_header() -> None:
    header, cookie = (b"authorization", b"Bearer x"), (b"cookie", b"sessionid=abc")
    assert caller("/api/v1/jobs", header, cookie) == caller("/api/v1/jobs", header)
    assert caller("/api/v1/jobs", header, cookie) != caller("/api/v1/jobs", cookie)
