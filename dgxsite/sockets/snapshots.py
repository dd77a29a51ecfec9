"""The first answer to a subscription: everything a page needs, read when it is about to be sent.

Each read starts from what the person may see at that moment. The fleet is read page by page, so
that a socket holds one message of it and not the whole, however slowly the client reads.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import orjson
from channels.db import database_sync_to_async
from django.db import DatabaseError, InterfaceError

from accounts.models import User
from connections.models import Connection, ConnectionQuerySet
from connections.serializers import as_dict
from core import topics
from core.errors import Unavailable
from dgxsite.sockets.hub import packed
from dgxsite.sockets.outbox import StateUnreadable
from jobs import broadcast
from jobs.models import Job, JobQuerySet
from jobs.serializers import as_event
from metrics.live import store as samples
from notifications import feed

# Machines per query: about as many as fit one message.
PAGE = 25

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def read(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a blocking read on a thread; `StateUnreadable` if PostgreSQL or Redis does not answer."""
    call = database_sync_to_async(function, thread_sensitive=False)
    try:
        result: _T = await call(*args, **kwargs)
    except (DatabaseError, InterfaceError, Unavailable) as error:
        raise StateUnreadable from error
    return result


async def of_topic(user_id: int, topic: str) -> AsyncIterator[str]:
    """The data of each state message of a topic that was granted."""
    if topic == topics.FLEET:
        async for data in _fleet(user_id):
            yield data
    elif topic == topics.NOTIFICATIONS:
        yield (await read(feed.state, user_id)).decode()
    elif topic.startswith(topics.JOB_PREFIX):
        yield await read(_job, user_id, UUID(topic.removeprefix(topics.JOB_PREFIX)))
    else:
        yield await read(_connection, user_id, UUID(topic.removeprefix(topics.CONNECTION_PREFIX)))


def _visible(user_id: int) -> ConnectionQuerySet:
    person = User.objects.filter(pk=user_id).first()
    return Connection.objects.visible_to(person)


def _connection(user_id: int, connection_id: UUID) -> str:
    row = _visible(user_id).select_related("team").filter(pk=connection_id).first()
    if row is None:
        shown: dict[str, Any] = {"id": str(connection_id), "deleted": True}
        return _json({"connection": shown, "sample": None, "recent": []})
    sample = samples.latest_json([row.pk], strict=True).get(row.pk)
    fitting = samples.fit(sample, topics.MAX_DATA_BYTES // 2) if sample else None
    shown = {"connection": as_dict(row), "sample": orjson.Fragment(fitting) if fitting else None}
    bars = [_bar(one) for one in samples.recent(row.pk, strict=True)]
    while len(text := _json(shown | {"recent": bars}).encode()) > topics.MAX_DATA_BYTES and bars:
        bars = bars[len(bars) // 4 + 1 :]
    return text.decode()


def _job(user_id: int, job_id: UUID) -> str:
    rows = _visible_jobs(user_id).select_related("connection__team", "requested_by")
    row = rows.filter(pk=job_id).first()
    if row is None:
        return _json({"job": {"id": str(job_id), "deleted": True}, "log": None})
    return _json({"job": as_event(row), "log": broadcast.tail(row)})


def _visible_jobs(user_id: int) -> JobQuerySet:
    return Job.objects.visible_to(User.objects.filter(pk=user_id).first())


def teams_of_jobs(user_id: int, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The team of each of these jobs that the person may see."""
    rows = _visible_jobs(user_id).filter(pk__in=ids)
    return dict(rows.values_list("pk", "connection__team_id"))


def _bar(sample: dict[str, Any]) -> dict[str, Any]:
    gpus = [
        {"index": gpu["index"], "utilization_percent": gpu["utilization_percent"]}
        for gpu in sample["gpus"]
    ]
    return {"recorded_at": sample["recorded_at"], "gpus": gpus}


async def _fleet(user_id: int) -> AsyncIterator[str]:
    ids = await read(_visible_ids, user_id)
    waiting: list[str] = []
    for start in range(0, len(ids), PAGE):
        waiting += await read(_machines, user_id, ids[start : start + PAGE])
        *full, waiting = list(packed(waiting)) or [[]]
        for chunk in full:
            yield _fleet_data(chunk, is_complete=False)
    yield _fleet_data(waiting, is_complete=True)


def teams_of(user_id: int, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The team of each of these machines that the person may see."""
    return dict(_visible(user_id).filter(pk__in=ids).values_list("pk", "team_id"))


def _visible_ids(user_id: int) -> list[UUID]:
    return list(_visible(user_id).order_by("name", "pk").values_list("pk", flat=True))


def _machines(user_id: int, ids: Sequence[UUID]) -> list[str]:
    found = _visible(user_id).select_related("team").in_bulk(list(ids))
    newest = samples.latest_json(list(found), strict=True)
    return [_machine(found[id], newest.get(id)) for id in ids if id in found]


def _machine(row: Connection, sample: bytes | None) -> str:
    fitting = samples.fit(sample, topics.MAX_DATA_BYTES // 2) if sample else None
    shown = orjson.Fragment(fitting) if fitting else None
    return _json({"connection": as_dict(row), "sample": shown})


def _fleet_data(machines: Sequence[str], *, is_complete: bool) -> str:
    complete = "true" if is_complete else "false"
    return f'{{"connections":[{",".join(machines)}],"complete":{complete}}}'


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
