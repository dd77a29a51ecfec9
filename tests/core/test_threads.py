"""Threads that die, and threads that hang: seen, said, started again."""

import threading
from collections.abc import Callable, Iterator

import pytest

from core.background import threads
from tests.waiting import until


class Work:
    """A loop's target that a test can let die, hang or return."""

    def __init__(self) -> None:
        self.starts = 0
        self.orders: list[Callable[[], None]] = []
        self.woken = threading.Event()

    def __call__(self) -> None:
        self.starts += 1
        self.woken.wait(30)
        self.woken.clear()
        self.orders.pop()()

    def do(self, order: Callable[[], None]) -> None:
        self.orders.append(order)
        self.woken.set()


def die() -> None:
    raise SystemExit  # what no `except Exception` catches


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.do(lambda: None)


def test_what_died_is_said_and_runs_again(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PROVEN_SECONDS", 0.3)
    loop = threads.Loop("test", "the test's work", work)
    loop.start()
    assert "the test's work" not in threads.look()
    work.do(die)
    until(lambda: "the test's work" in threads.look())
    until(lambda: work.starts == 2)
    until(lambda: "the test's work" not in threads.look())
    loop.end()


def test_who_shows_no_sign_of_life_is_said(work: Work) -> None:
    loop = threads.Loop("test", "the test's work", work, patience_seconds=0.2)
    loop.start()
    until(lambda: "the test's work" in threads.look())
    loop.beat()
    assert loop.is_well()
    assert work.starts == 1, "one that hangs is not doubled"
    loop.end()


def test_who_returns_is_not_started_again(work: Work) -> None:
    loop = threads.Loop("test", "the test's work", work)
    loop.start()
    work.do(lambda: None)
    loop.join(30)
    assert "the test's work" not in threads.look()
    assert work.starts == 1
    work.orders.clear()
