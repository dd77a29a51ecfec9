"""Cases by Schemathesis from `openapi.json`, each sent by the people of a team over and over.

A case is right or wrong on purpose; four of five name objects that are there, since an id that
Schemathesis invents would meet nothing but 404. What a call has done is undone before the next.
"""

import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from django.core.cache import cache
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from dgxsite.logs import CallersMistakes
from tests.access.cast import Cast
from tests.undone import close_unread, undone

ACTORS = ("viewer", "operator", "administrator", "superuser")
# Cases of one operation before the next one's turn.
_AT_ONCE = 100
_BASE = "http://testserver"
# Looks a name up for as long as the resolver of this machine takes.
_FEW = frozenset({"POST /api/v1/connections/test", "POST /api/v1/connections/{connection_id}/test"})


@dataclass(slots=True)
class Tally:
    """How many calls were made, what they were answered, and which were faults."""

    calls: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Tracebacks(logging.Handler):
    """What the site's log would show with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(CallersMistakes())
        self.met: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.met.append(f"{record.getMessage()} {record.exc_info[1]!r}")


def operations(cast: Cast) -> list[Any]:
    """Every operation of the API, by its label."""
    schema = cast.api["superuser"].get("/api/v1/openapi.json").json()
    found: list[Any] = list(schemathesis.openapi.from_dict(schema).get_all_operations())
    return sorted((one.ok() for one in found), key=lambda one: str(one.label))


def play(cast: Cast, parts: Sequence[Any], calls: int, number: int, tally: Tally) -> None:
    """At least so many calls over these operations, right and wrong ones in turn."""
    each = max(1, calls // (len(parts) * len(ACTORS) * len(GenerationMode)))
    while tally.calls < calls:  # an operation without parameters has few cases
        for operation in parts:
            examples = min(each, 5) if operation.label in _FEW else min(each, _AT_ONCE)
            for mode in GenerationMode:
                _play(cast, operation, mode, examples, number, tally)
        number += 1


def _play(
    cast: Cast, operation: Any, mode: GenerationMode, examples: int, number: int, tally: Tally
) -> None:
    documented = {int(status) for status in operation.definition.raw["responses"]}

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_cases(cast, operation, mode))
    def send_to_all(case: Any) -> None:
        request = _prepared(case)
        for actor in ACTORS:
            _send(cast, actor, request, tally, documented)

    send_to_all()


def _cases(cast: Cast, operation: Any, mode: GenerationMode) -> st.SearchStrategy[Any]:
    """Those with objects that are there, four times of five, and those with any."""
    names = [one.name for one in operation.path_parameters]
    real = {name: str(cast.values[name]) for name in names if name in cast.values}
    invented = operation.as_strategy(generation_mode=mode)
    if not real:
        return invented  # type: ignore[no-any-return]
    there = operation.as_strategy(generation_mode=mode, path_parameters=real)
    return st.integers(0, 4).flatmap(lambda dice: there if dice else invented)


def _prepared(case: Any) -> requests.PreparedRequest:
    """The request as it would go over the wire."""
    return requests.Request(**case.as_transport_kwargs(base_url=_BASE)).prepare()


def _send(
    cast: Cast,
    actor: str,
    request: requests.PreparedRequest,
    tally: Tally,
    documented: Collection[int],
) -> None:
    url = str(request.url).removeprefix(_BASE)
    path, _, query = url.partition("?")
    body: Any = request.body or b""
    began = time.perf_counter()
    tracebacks = Tracebacks()
    logging.getLogger().addHandler(tracebacks)
    cache.clear()
    try:
        with undone():
            answer = cast.api[actor].generic(
                str(request.method),
                path,
                body,
                str(request.headers.get("Content-Type", "application/octet-stream")),
                QUERY_STRING=query,
                headers=_plain(request.headers),
            )
            close_unread(answer)
    finally:
        logging.getLogger().removeHandler(tracebacks)
    tally.calls += 1
    tally.statuses[answer.status_code] += 1
    tally.slowest = max(tally.slowest, time.perf_counter() - began)
    method_and_url = f"{request.method} {url[:200]}"
    if answer.status_code >= 500 or tracebacks.met:
        what = "; ".join(tracebacks.met)[:300]
        sent = f"{actor}: {method_and_url} {body[:300]!r}"
        tally.faults.append(f"{answer.status_code} {sent} {what}")
    elif answer.status_code not in documented:
        tally.faults.append(f"{answer.status_code} is not documented: {actor}: {method_and_url}")


def _plain(headers: Any) -> dict[str, str]:
    """Without those that the client sets itself, and the token, which is the actor's."""
    own = {"authorization", "content-type", "content-length", "host", "user-agent", "cookie"}
    return {name: value for name, value in headers.items() if name.lower() not in own}
