"""The border round the reading of logs: limits, what a bad piece costs, and a life that ends."""

import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from jobs.log import store as log_store
from jobs.models import JobScalars
from jobs.results import curve_process
from jobs.results import ingest as results_ingest
from jobs.results.curve_process import Busy, CurveProcess, Piece, TooCostly
from jobs.tracking import curve_reader
from jobs.tracking.curves import Curves
from tests.jobs import rows

# The reader itself, with a grammar that a line of the log can stop or fill.
_SLOW = """
from jobs.tracking import curve_reader, curves, parse as scalars
curve_reader.PIECE_CPU_SECONDS = 1
of_line = scalars.of_line
def read(line):
    while "burn" in line: pass
    if "fill" in line: bytearray(8 * 2**30)
    return of_line(line)
scalars.of_line = read
curve_reader.main()
"""
NOW = datetime(2026, 1, 2, tzinfo=UTC)
GOOD = b"step=1 loss=0.5\nstep=2 loss=0.25\n"


@pytest.fixture
def slow() -> Iterator[CurveProcess]:
    running = CurveProcess((sys.executable, "-c", _SLOW))
    yield running
    running.close()


@pytest.fixture
def plain() -> Iterator[CurveProcess]:
    running = CurveProcess()
    yield running
    running.close()


def piece(data: bytes, curves: bytes = b"") -> Piece:
    return Piece(curves, data, 0, [[0, 1000]], True)


def test_reads_as_it_would_here(plain: CurveProcess) -> None:
    first = plain.read(piece(GOOD))
    assert (first.read, first.last) == (len(GOOD), {"loss": 0.25})
    again = plain.read(Piece(first.curves, b"loss=0.1\n", len(GOOD), [], False))
    curves = Curves.load(again.curves)
    assert [point[:2] for point in curves.by_name["loss"].points] == [(1, 0.5), (2, 0.25), (2, 0.1)]
    assert plain.started == 1


@pytest.mark.parametrize("bad", [b"burn\n", b"fill\n"])
def test_a_piece_that_takes_too_much_ends_that_process_alone(
    slow: CurveProcess, bad: bytes
) -> None:
    began = time.monotonic()
    with pytest.raises(TooCostly):
        slow.read(piece(GOOD + bad))
    assert time.monotonic() - began < curve_process.ANSWER_SECONDS
    assert slow.read(piece(GOOD)).last == {"loss": 0.25}
    assert slow.started == 2


def test_is_started_anew_before_its_limit_is_used_up(
    plain: CurveProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_reader, "LIFETIME_CPU_SECONDS", 0)
    for _ in range(3):
        assert plain.read(piece(GOOD)).last == {"loss": 0.25}
    assert plain.started == 3


def test_who_gets_no_turn_is_told_at_once(
    slow: CurveProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_process, "TURN_SECONDS", 0.05)
    with slow._turn, pytest.raises(Busy):
        slow.read(piece(GOOD))


def test_processors_without_time_are_no_fault_of_the_job(
    slow: CurveProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_process, "ANSWER_SECONDS", 0.05)
    with pytest.raises(Busy):
        slow.read(piece(GOOD + b"burn\n"))


def test_ends_with_whoever_started_it(plain: CurveProcess) -> None:
    plain.read(piece(GOOD))
    running = plain._running
    assert running is not None
    assert running.stdin is not None
    running.stdin.close()
    assert running.wait(timeout=60) == 0


@pytest.mark.django_db
def test_a_bad_piece_is_skipped_and_said_and_others_are_read(
    slow: CurveProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_ingest, "reader", slow)
    bad, good = (rows.make_job() for _ in range(2))
    log_store.append(bad, b"burn\n", NOW)
    log_store.append(good, GOOD, NOW)
    assert results_ingest.catch_up(bad).offset == 5
    assert results_ingest.catch_up(good).curves.last_values() == {"loss": 0.25}
    log_store.append(bad, GOOD, NOW)
    row = results_ingest.catch_up(bad)
    assert row.curves.last_values() == {"loss": 0.25}
    assert row.offset == bad.log_bytes
    assert row.curves.note == "1 KiB of the log took too long to read and are in no curve."
    bad.refresh_from_db()
    assert bad.metrics["scalars_note"] == row.curves.note
    good.refresh_from_db()
    assert "scalars_note" not in good.metrics


@pytest.mark.django_db
def test_who_is_second_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job = rows.make_job()
    log_store.append(job, GOOD, NOW)
    late = JobScalars.objects.get_or_create(job=job)[0]
    results_ingest.catch_up(job)
    assert not results_ingest._advance(late, 3, b"")
    assert late.offset == len(GOOD)
    assert results_ingest.catch_up(job).curves.by_name["loss"].seen == 2


def test_threads_take_turns(plain: CurveProcess) -> None:
    found: list[float | None] = []

    def read(value: int) -> None:
        found.append(plain.read(piece(f"loss={value}\n".encode() * 100)).last["loss"])

    threads = [threading.Thread(target=read, args=(value,)) for value in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [float(value) for value in range(8)]
    assert plain.started == 1
