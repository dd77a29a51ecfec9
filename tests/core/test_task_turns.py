"""Tasks share the threads of a process: none has many, and a tick always finds one."""

import inspect
import threading
from collections.abc import Callable

import pytest

from core.background import task_turns
from dgxsite.celery import app
from dgxsite.up import programs
from exports.queue import HANDS
from tests.waiting import until

# Tasks that return at once, whatever goes on, and how many threads of a process they may hold.
QUICK = {
    "connections.look_at": 1,
    "jobs.look": 1,
    "notifications.deliver": 1,
    "exports.work": HANDS + 1,  # shared with the next one; one more looks what is due
    "exports.run_schedule": 1,
}


class Task:
    """One that works until it is let go."""

    def __init__(self) -> None:
        self.runs = 0
        self.may_end = threading.Event()

    def __call__(self) -> None:
        self.runs += 1
        assert self.may_end.wait(30)


def begin(task: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=task, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("turn", [task_turns.short, task_turns.long])
def test_a_task_that_runs_is_not_begun_again(
    turn: Callable[[task_turns.Task], task_turns.Task],
) -> None:
    task = Task()
    again = turn(task)
    first = begin(again)
    until(lambda: task.runs == 1)
    again()  # returns at once
    task.may_end.set()
    first.join(30)
    again()
    assert task.runs == 2


def test_only_a_few_long_ones_work_at_once() -> None:
    tasks = [Task() for _ in range(task_turns.LONG_AT_ONCE + 2)]
    threads = [begin(task_turns.long(task)) for task in tasks]
    until(lambda: sum(task.runs for task in tasks) == task_turns.LONG_AT_ONCE)
    quick = Task()
    quick.may_end.set()
    task_turns.short(quick)()
    assert quick.runs == 1, "short ones do not stand in line"
    assert sum(task.runs for task in tasks) == task_turns.LONG_AT_ONCE
    for task in tasks:
        task.may_end.set()
    for thread in threads:
        thread.join(30)
    assert [task.runs for task in tasks] == [1] * len(tasks)


def test_every_task_takes_turns_and_there_are_threads_for_all() -> None:
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    assert {line["task"] for line in app.conf.beat_schedule.values()} <= ours.keys()
    takes_turns = {
        name
        for name, task in ours.items()
        if inspect.unwrap(task.run) is not task.run and task.run.__module__ != task_turns.__name__
    }
    assert ours.keys() - takes_turns == QUICK.keys(), "a task without turns may fill all threads"
    assert len(takes_turns) + sum(QUICK.values()) < programs.TASK_THREADS
