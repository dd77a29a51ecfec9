"""What a machine's docker says of a job's container: asked over a log-in, kept for ten seconds.

Only the few facts that are shown are asked for: all of `docker inspect` has the environment in it,
with its secrets.
"""

import json
import shlex
from datetime import UTC, datetime
from itertools import islice
from typing import TypedDict

from django.core.cache import cache

from accounts.auth import rate_limits
from accounts.policy import Caller
from connections import visits
from connections.files import browse
from connections.files.folders import NotReached
from connections.ssh import CommandTimeout, SessionLost
from core import cleaner
from jobs.models import Job
from jobs.queue.devices import CONTAINER_PREFIX

ANSWER_SECONDS = 10.0
KEPT_SECONDS = 10
LOOKS_PER_MINUTE = 30
_FACTS = "{{json .State}}\n{{json .NetworkSettings.Ports}}\n{{json .Id}}\n{{json .Image}}"
_UNSET = "0001-01-01"
_LONGEST = 300
_MOST_PORTS = 100


class Seen(TypedDict, total=False):
    """`problem` alone, or what docker says; a port reads as `0.0.0.0:8080 → 80/tcp`."""

    problem: str
    id: str
    image_id: str
    state: str
    exit_code: int | None
    out_of_memory: bool
    started_at: datetime | None
    finished_at: datetime | None
    ports: list[str]


def name_of(job: Job) -> str:
    return f"{CONTAINER_PREFIX}{job.pk}"


def look(caller: Caller, job: Job) -> Seen:
    """The container as it is now; never inside a transaction."""
    key = f"container:{job.pk}"
    kept: Seen | None = cache.get(key)
    if kept is None:
        rate_limits.allow(caller, "containers.look", LOOKS_PER_MINUTE)
        with visits.take(caller):
            kept = _ask(job)
        cache.set(key, kept, KEPT_SECONDS)
    return kept


def _ask(job: Job) -> Seen:
    command = shlex.join(
        ["docker", "inspect", "--type", "container", "--format", _FACTS, name_of(job)]
    )
    try:
        with browse.logged_in(job.connection) as session:
            answer = session.run(command, timeout=ANSWER_SECONDS)
    except NotReached as error:
        return {"problem": error.detail}
    except (CommandTimeout, SessionLost):
        return {"problem": "The machine’s docker did not answer in time."}
    if answer.exit_status:
        return {"problem": _refusal(job, answer.stderr.decode("utf-8", "replace"))}
    return parse(answer.stdout.decode("utf-8", "replace"))


def parse(text: str) -> Seen:
    """The four lines that `_FACTS` asks for; a `problem` where they are something else."""
    try:
        state, ports, id, image = map(json.loads, text.strip().split("\n"))
        found = (
            port for inside, outside in (ports or {}).items() for port in _port(inside, outside)
        )
        return {
            "id": _shown(id),
            "image_id": _shown(image),
            "state": _shown(state["Status"]),
            "exit_code": int(state["ExitCode"]) if state["Status"] == "exited" else None,
            "out_of_memory": bool(state.get("OOMKilled")),
            "started_at": _time(state["StartedAt"]),
            "finished_at": _time(state["FinishedAt"]),
            "ports": [_shown(port) for port in islice(found, _MOST_PORTS)],
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return {"problem": "The machine’s docker answered something else than expected."}


def _port(inside: str, outside: list[dict[str, str]] | None) -> list[str]:
    return [f"{one['HostIp']}:{one['HostPort']} → {inside}" for one in outside or []] or [inside]


def _time(text: str) -> datetime | None:
    return None if text.startswith(_UNSET) else datetime.fromisoformat(text).astimezone(UTC)


def _shown(said: object) -> str:
    """Short, and without half characters, which no page can hold."""
    return cleaner.line(str(said), _LONGEST)


def _refusal(job: Job, said: str) -> str:
    """Docker's own words, and what they mean where that is known."""
    words: dict[str, str] = {
        "No such container": "It is gone: a container is removed when it ends.",
        "permission denied": f"The user {job.connection.username} may not use docker.",
        "not found": "The machine has no docker.",
    }
    lines = said.strip().splitlines()
    last = _shown(lines[-1]) if lines else ""
    return next((text for sign, text in words.items() if sign.lower() in said.lower()), last) or (
        "The machine’s docker refused to answer."
    )
