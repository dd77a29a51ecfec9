"""A wake-up leaves on its own thread, names its task, and never hurts who asks for it."""

import logging
import threading
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError

from core.background import wakeup
from dgxsite.celery import app
from tests.sshd import free_port

TASK = "tests.nobody"


@pytest.fixture
def broker_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The broker is at an address where nobody listens."""
    monkeypatch.setitem(app.conf, "broker_url", f"redis://127.0.0.1:{free_port()}/0")
    quickly = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
    options = app.conf.broker_transport_options | quickly
    monkeypatch.setitem(app.conf, "broker_transport_options", options)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    yield
    app.amqp._producer_pool.force_close_all()


@pytest.fixture(autouse=True)
def only_real_ones() -> Iterator[None]:
    yield
    wakeup.EVERY.pop(TASK, None)


def finished(sent: wakeup.Wakeup) -> None:
    sent._sender.submit(int).result(20)


def test_every_wakeup_names_a_task_that_exists() -> None:
    app.loader.import_default_modules()
    assert set(wakeup.EVERY) == {
        "connections.look_at", "exports.work", "jobs.look", "notifications.deliver",
    }  # fmt: skip
    assert set(wakeup.EVERY) <= set(app.tasks)


@pytest.mark.usefixtures("broker_away")
def test_a_broker_that_is_away_costs_one_warning_and_the_rows_are_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shown: list[UUID] = []
    wake, row = wakeup.Wakeup(TASK, wakeup.KEEPERS, show=shown.extend), uuid4()
    with caplog.at_level(logging.WARNING):
        wake([row])
        finished(wake)
    lines = [line for line in caplog.messages if TASK in line]
    assert (len(lines), shown) == (1, [row]), lines


@pytest.mark.parametrize("error", [OperationalError("gone"), ValueError("odd")])
def test_what_cannot_be_shown_is_logged_and_the_next_is_shown(
    redis_client: object, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    answers, shown = [error], list[UUID]()

    def show(rows: list[UUID]) -> None:
        if answers:
            raise answers.pop()
        shown.extend(rows)

    wake, rows = wakeup.Wakeup(TASK, wakeup.WORKERS, show=show), [uuid4(), uuid4()]
    for row in rows:
        wake([row])
        finished(wake)
    assert shown == rows[1:]
    assert f"{TASK}: a change was not shown" in caplog.text


def test_what_comes_while_one_waits_goes_with_it(redis_client: object) -> None:
    batches: list[list[UUID]] = []
    wake, rows, busy = wakeup.Wakeup(TASK, wakeup.WORKERS, batches.append), [uuid4()], [uuid4()]
    go_on = threading.Event()
    wake._sender.submit(go_on.wait, 10)
    wake(rows)
    wake(busy)
    wake(rows)
    go_on.set()
    finished(wake)
    assert batches == [[*rows, *busy]]
