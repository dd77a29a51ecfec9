"""One bad row stops no other: each loop that goes over rows of several owners, and a list of them.

The loops of a keeper are tried with real machines in `test_one_bad_machine.py`.
"""

import ast
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from psycopg import errors as psycopg_errors

from core.background import isolation
from dgxsite.celery import app
from tests.faults.loops import TRIALS
from tests.product import PACKAGES, ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client", "rested")]


@pytest.fixture
def rested() -> Iterator[None]:
    isolation.forget()
    yield
    isolation.forget()


@pytest.mark.parametrize("where", sorted(TRIALS))
def test_the_others_are_done_and_the_bad_one_is_named(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = TRIALS[where]()
    assert list(outcome.done) == [True, False, True]
    assert str(outcome.bad) in caplog.text


# Calls of `each` that are tried elsewhere, or go over what belongs to one owner.
ELSEWHERE = {
    "alerts.absence.close_unwatched": "its rules are tried in alerts.absence.watch",
    "connections.keeper.keeper.Keeper._handle_inbox": "test_one_bad_machine.py",
    "connections.keeper.keeper.Keeper._pulse_loop": "test_one_bad_machine.py",
    "connections.keeper.keeper.Keeper._reconcile": "test_one_bad_machine.py",
    "connections.keeper.keeper.Keeper._round": "test_one_bad_machine.py",
    "connections.keeper.keeper.Keeper._watch": "test_one_bad_machine.py",
    "exports.queue._make_waiting": "test_one_bad_machine.py",
    "exports.retention._remove_strays": "files that belong to nobody",
    "exports.retention.tidy": "the three rules, each tried by itself",
    "jobs.keeper.agent.JobAgent._look": "tests/jobs/test_retention.py",
    "jobs.keeper.origin_collector.OriginCollector.keep": "jobs of one machine: test_one_bad_job.py",
    "jobs.keeper.reconciler.Reconciler._each": "jobs of one machine: test_one_bad_job.py",
    "jobs.keeper.reconciler.Reconciler.reconcile": "jobs of one machine: test_one_bad_job.py",
    "jobs.keeper.gpu_alerts.check_machines": "what notify_waiting of that name does",
    "metrics.live.ingest._record": "test_one_bad_machine.py",
    "metrics.live.store.Recorder.flush": "what metrics.history.buffer.WindowBuffer._close does",
    "notifications.delivery.sender._give_up": "one conditional update for each row",
    "notifications.delivery.dispatch.Dispatcher._send_what_is_due": "test_one_bad_machine.py",
    "notifications.delivery.dispatch.Dispatcher._write_down": "test_one_bad_machine.py",
}
NAMED = {
    # A trial by the name of the whole, of which the call is a part.
    "alerts.watch.Watch._evaluate",
    "metrics.history.retention._clean_up",
    "metrics.history.saver.Saver._adopt",
    "metrics.history.buffer.WindowBuffer._close",
}


def test_every_call_of_each_has_a_trial() -> None:
    calls = {call for package in PACKAGES for call in _calls(package)}
    assert calls, "`isolation.each` has moved: adjust this test"
    assert calls - TRIALS.keys() - ELSEWHERE.keys() == set()
    assert ELSEWHERE.keys() - calls == set()


# Each task of the clock: the loops that it goes over, or why there is no loop over owners.
TASKS = {
    "accounts.forget_ended_sessions": "one statement",
    "accounts.write_down_refusals": ["accounts.audit.denials.write_down"],
    "alerts.forget": ["alerts.trash.empty"],
    "alerts.tell_again": ["alerts.notify.again"],
    "alerts.watch_absence": ["alerts.absence.watch"],
    "connections.empty_trash": ["connections.purge.empty_trash"],
    "connections.tell_of_absence": ["connections.notify.of_absence"],
    "dgxsite.pulse": "says that the worker lives",
    "exports.tidy": ["exports.retention._expire", "exports.retention._empty_trash"],
    "exports.work": ["exports.schedules.queue_due", "exports.queue._make_waiting"],
    "jobs.forget": ["jobs.retention.forget", "jobs.retention._forget_logs"],
    "jobs.look_for_stuck": ["jobs.watchdog.look"],
    "jobs.mark_unseen": [
        "jobs.keeper.unreachable.mark_unseen",
        "jobs.keeper.unreachable._say_why_jobs_wait",
    ],
    "jobs.measure": ["jobs.keeper.usage.measure_held_jobs", "jobs.queue.gpu_alerts.notify_waiting"],
    "jobs.read_scalars": ["jobs.results.ingest.catch_up_all"],
    "metrics.keep_partitions": [
        "metrics.history.retention._clean_up",
        "metrics.history.rollup._batch",
    ],
    "metrics.persist": ["metrics.live.persist.persist", "metrics.history.saver.Saver._adopt"],
    "metrics.poll": ["connections.keeper.keeper.Keeper._watch"],
    "metrics.roll_up": ["metrics.history.rollup._batch"],
    "notifications.deliver": ["notifications.delivery.sender.run"],
    "notifications.forget": "one statement",
    "usage.keep_partitions": "tables, not rows",
    "usage.save": ["usage.noting.save"],
}


def test_every_task_of_the_clock_is_looked_at() -> None:
    assert {line["task"] for line in app.conf.beat_schedule.values()} == TASKS.keys()
    loops = {loop for found in TASKS.values() if isinstance(found, list) for loop in found}
    assert loops - TRIALS.keys() - ELSEWHERE.keys() == set()


def test_a_bad_row_rests_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, tries = [0.0], list[float]()
    monkeypatch.setattr("core.background.isolation.time.monotonic", lambda: now[0])

    def fail(row: str) -> None:
        tries.append(now[0])
        raise ValueError(row)

    for tick in range(300):
        now[0] = float(tick)
        isolation.each(["bad"], fail, name="a loop that ticks every second")
    pauses = [later - before for before, later in pairwise(tries)]
    assert pauses[:6] == [1, 2, 4, 8, 16, 32]
    assert set(pauses[6:]) == {60}


def test_what_rests_is_forgotten_when_it_succeeds() -> None:
    answers = [ValueError("once"), None]

    def work(row: str) -> bool:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return True

    assert isolation.each(["row"], work, name="here", rests=True) == 0
    assert isolation.each(["row"], work, name="here", rests=True) == 0  # it rests
    assert isolation.each(["row"], work, name="elsewhere", rests=True) == 1
    assert len(isolation._rests._of) == 1


@pytest.mark.parametrize(
    ("error", "cause", "down"),
    [
        (OperationalError("gone"), psycopg_errors.ConnectionFailure(), True),
        (OperationalError("no pool"), None, True),
        (OperationalError("stopping"), psycopg_errors.AdminShutdown(), True),
        (OperationalError("full"), psycopg_errors.DiskFull(), True),
        (InterfaceError("closed"), None, True),
        (OperationalError("lock"), psycopg_errors.LockNotAvailable(), False),
        (OperationalError("deadlock"), psycopg_errors.DeadlockDetected(), False),
        (OperationalError("slow"), psycopg_errors.QueryCanceled(), False),
        (DataError("NUL"), psycopg_errors.DataError(), False),
        (IntegrityError("twice"), psycopg_errors.UniqueViolation(), False),
        (ProgrammingError("ours"), psycopg_errors.UndefinedColumn(), False),
        (ValueError("surrogates"), None, False),
    ],
)
def test_only_a_database_that_is_gone_is_down(
    error: Exception, cause: Exception | None, down: bool
) -> None:
    error.__cause__ = cause
    assert isolation.is_down(error) is down
    if down:
        with pytest.raises(type(error)):
            isolation.each([1], _raising(error), name="here")
    else:
        assert isolation.each([1], _raising(error), name="here") == 0


def _raising(error: Exception) -> Callable[[object], None]:
    def work(row: object) -> None:
        raise error

    return work


def _calls(package: str) -> Iterator[str]:
    """Module and function of each call of `isolation.each`."""
    for path in sorted((ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield from (f"{module}.{place}" for place in _places(tree, ()))


def _places(node: ast.AST, names: tuple[str, ...]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and ast.unparse(child.func) == "isolation.each":
            yield ".".join(names)
        inner = names
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            inner = (*names, child.name)
        yield from _places(child, inner)
