"""`GET /api/health`: what each part of the site says about itself, without a log-in.

All parts are asked at once and get 2.5 s together, so that the answer comes within 3 s whatever is
down or frozen. A part that still hangs from the last question is not asked again. The sentences
name no address and repeat no error text: anybody may read them, and no machine: a bad machine or
job makes no part of the site bad.

The database is asked over a connection of its own, so that a pool of which nothing is left, and a
disk that is full, are told from a database that is down. The pool that is seen is that of the
process which answers.
"""

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, connections
from django.http import HttpRequest, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from psycopg_pool import PoolTimeout

from connections.keeper import leases
from connections.models import Keeper
from core.background import own_connection
from core.background.heartbeats import BEAT_KEY, WORKER_KEY, WORKER_TROUBLE_KEY
from core.web.waiting import outside_database

OK = "ok"
DEADLINE_SECONDS = 2.5
# The worker writes its key every 5 s, beat's tick every 2 s.
WORKER_FRESH_SECONDS = 20.0
BEAT_FRESH_SECONDS = 10.0
# Who finds no free connection for so long is about to answer 503.
POOL_SECONDS = 1.0
# PostgreSQL writes its log in files of 16 MiB, and stops when it cannot.
FULL_BYTES = 32 * 1024 * 1024

Answers = dict[str, str]


def view(request: HttpRequest) -> HttpResponseBase:
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    checks = ask_all()
    healthy = all(state == OK for state in checks.values())
    body = {"status": "ok" if healthy else "degraded", "checks": checks}
    answer = JsonResponse(body, status=200 if healthy else 503)
    answer._has_been_logged = True  # type: ignore[attr-defined]  # Django need not repeat a 503
    return answer


@outside_database()
def ask_all(deadline_seconds: float = DEADLINE_SECONDS) -> Answers:
    """The state of each part, `"ok"` or a sentence."""
    deadline = time.monotonic() + deadline_seconds
    asked = [probe.start() for probe in PROBES]
    answers: Answers = {}
    for probe, answer in zip(PROBES, asked, strict=True):
        answers |= probe.wait(answer, max(0.0, deadline - time.monotonic()))
    return {name: answers[name] for name in ("database", "redis", "keeper", "worker", "beat")}


class Question:
    """Asked once; `answers` stays empty if it failed, `done` is set either way."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answers: Answers = {}


class Probe:
    """One dependency and the parts that are judged through it; asked in a thread of its own."""

    def __init__(self, ask: Callable[[], Answers], silent: Answers) -> None:
        self._ask = ask
        self._silent = silent
        self._lock = threading.Lock()
        self._open: Question | None = None

    def start(self) -> Question:
        """Ask now, or join the question that is still open: one that hangs blocks one thread."""
        with self._lock:
            if self._open is None:
                self._open = Question()
                threading.Thread(target=self._run, args=(self._open,), daemon=True).start()
            return self._open

    def wait(self, question: Question, seconds: float) -> Answers:
        question.done.wait(seconds)
        return question.answers or self._silent

    def _run(self, question: Question) -> None:
        try:
            question.answers = self._ask()
        finally:
            with self._lock:
                self._open = None
            question.done.set()


def _ask_database() -> Answers:
    with own_connection.held():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            troubles = list(Keeper.objects.filter(leases.alive()).values_list("trouble", flat=True))
        except DatabaseError:
            return {}
    return {
        "database": _full_disk() or _exhausted_pool() or OK,
        "keeper": _keeper(troubles),
    }


def _exhausted_pool() -> str | None:
    """Try to get one of this process's connections as a request would."""
    pool = connections["default"].pool  # type: ignore[attr-defined]  # PostgreSQL's alone
    if pool is None:
        return None
    try:
        pool.open()
        found = pool.getconn(timeout=POOL_SECONDS)
    except PoolTimeout:
        return "All connections to the database are in use."
    pool.putconn(found)
    return None


def _full_disk() -> str | None:
    """Of what the site keeps itself; an embedded database may lie on another disk than the rest."""
    kept = Path(settings.DATA_DIR)
    for directory in (kept, kept / "postgres"):
        with suppress(OSError):
            if shutil.disk_usage(directory).free < FULL_BYTES:
                return "The disk of the site is full."
    return None


def _keeper(troubles: list[str]) -> str:
    """What the living keepers say of their own threads."""
    if not troubles:
        return "No keeper is running."
    told = sorted({trouble for trouble in troubles if trouble})
    return f"A part of a keeper has stopped: {'; '.join(told)}." if told else OK


def _ask_redis() -> Answers:
    timeout = settings.REDIS_TIMEOUT_SECONDS
    try:
        with redis.Redis.from_url(
            settings.REDIS_SAMPLES_URL, socket_timeout=timeout, socket_connect_timeout=timeout
        ) as client:
            worker, beat, trouble = client.mget(WORKER_KEY, BEAT_KEY, WORKER_TROUBLE_KEY)
    except redis.RedisError:
        return {}
    return {
        "redis": OK,
        "worker": _worker(worker, trouble),
        "beat": _fresh(beat, BEAT_FRESH_SECONDS, "The clock (beat) does not tick."),
    }


def _worker(stamp: bytes | None, trouble: bytes | None) -> str:
    state = _fresh(stamp, WORKER_FRESH_SECONDS, "The worker does not take tasks.")
    if state != OK or trouble is None:
        return state
    return f"A part of a worker has stopped: {trouble.decode('utf-8', 'replace')}."


def _fresh(stamp: bytes | None, seconds: float, otherwise: str) -> str:
    try:
        return OK if stamp is not None and time.time() - float(stamp) < seconds else otherwise
    except ValueError:
        return otherwise


_NO_DATABASE = "The database does not answer."
_NO_REDIS = "Redis does not answer."
PROBES = (
    Probe(
        _ask_database,
        {"database": _NO_DATABASE, "keeper": "Not known: the database does not answer."},
    ),
    Probe(
        _ask_redis,
        {
            "redis": _NO_REDIS,
            "worker": "Not known: Redis does not answer.",
            "beat": "Not known: Redis does not answer.",
        },
    ),
)
