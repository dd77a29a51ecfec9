"""One caller's requests take turns, and keep nobody else waiting."""

import asyncio
from typing import Any

import pytest

from core.errors import TooMany
from core.web import known_callers, request_turns
from core.web.request_turns import AT_ONCE, Turns

PEOPLE = {b"me": 1, b"my other token": 1, b"you": 2}


@pytest.fixture(autouse=True)
def known() -> None:
    """Who has been here before."""
    for token, person in PEOPLE.items():
        credential = known_callers.credential_of(scope("/api/v1/jobs", (b"authorization", token)))
        assert credential is not None
        known_callers.note(credential, person)


def scope(path: str, *headers: tuple[bytes, bytes], address: str = "a") -> dict[str, Any]:
    return {"type": "http", "path": path, "headers": headers, "client": (address, 1)}


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
        asked = scope(path, *headers, address=address) | {"name": name}
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

        return asyncio.create_task(self.site(asked, receive, send))


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
    assert not request_turns._lines


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
    assert not request_turns._lines


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
    assert not request_turns._lines


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


async def test_all_tokens_of_a_person_are_one_caller() -> None:
    kitchen = Kitchen()
    asked = [kitchen.ask(f"{n}", ("me", "my other token")[n % 2]) for n in range(20)]
    await settled()
    assert len(kitchen.begun) == AT_ONCE
    kitchen.go.set()
    await asyncio.gather(*asked)


async def test_made_up_tokens_count_by_their_address() -> None:
    kitchen = Kitchen()
    asked = [kitchen.ask(f"{n}", f"made up {n}") for n in range(50)]
    asked += [kitchen.ask(f"s{n}", path="/static/nothing") for n in range(5)]
    await settled()
    assert len(kitchen.begun) == request_turns.AT_ONCE_WITHOUT_LOGIN
    somebody = kitchen.ask("somebody", "me")
    await settled()
    assert kitchen.begun[-1] == "somebody"
    kitchen.go.set()
    await asyncio.gather(*asked, somebody)


async def test_handshakes_wait_in_the_same_line() -> None:
    kitchen = Kitchen()
    asked = [kitchen.ask(f"{n}", "me") for n in range(AT_ONCE)]
    await settled()
    opened: list[str] = []

    async def handshake(token: bytes) -> None:
        async with request_turns.taken(scope("/ws/live/", (b"authorization", token))):
            opened.append(token.decode())

    mine = asyncio.create_task(handshake(b"me"))
    await handshake(b"you")
    await settled()
    assert opened == ["you"]
    kitchen.go.set()
    await asyncio.gather(*asked, mine)
    assert opened == ["you", "me"]
    assert not request_turns._lines


async def test_a_credential_is_remembered_once_it_was_found_to_be_somebodys() -> None:
    asked = scope("/api/v1/jobs", (b"authorization", b"Bearer new"))
    credential = known_callers.credential_of(asked)
    async with request_turns.taken(asked):
        request_turns.identified(7)
    assert known_callers.person_of(credential) == 7
    async with request_turns.taken(asked):
        request_turns.identified(None)
    assert known_callers.person_of(credential) is None
    request_turns.identified(7)  # of no request
    for number in range(known_callers.MOST_KNOWN + 5):
        known_callers.note(b"%d" % number, number + 1)
    assert known_callers.person_of(b"0") is None
    assert known_callers.person_of(b"5") == 6


def by(path: str, *headers: tuple[bytes, bytes]) -> bytes | None:
    return known_callers.credential_of(scope(path, *headers))


def test_a_login_is_one_caller_whatever_else_it_sends() -> None:
    alone = by("/jobs/", (b"cookie", b"sessionid=abc"))
    assert by("/jobs/", (b"cookie", b"theme=dark; sessionid=abc; csrftoken=x")) == alone
    assert by("/jobs/", (b"cookie", b"a=b"), (b"cookie", b"sessionid=abc")) == alone
    assert by("/jobs/", (b"cookie", b"sessionid=x; y[=1; sessionid=abc")) == alone
    assert by("/jobs/", (b"authorization", b"x"), (b"cookie", b"sessionid=abc")) == alone
    assert by("/jobs/", (b"cookie", b"\xff=;;[")) is None


def test_the_api_and_the_sockets_go_by_their_header() -> None:
    header, cookie = (b"authorization", b"Bearer x"), (b"cookie", b"sessionid=abc")
    for path in ("/api/v1/jobs", "/ws/live/"):
        assert by(path, header, cookie) == by(path, header)
        assert by(path, header, cookie) != by(path, cookie)
