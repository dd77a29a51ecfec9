"""A log by lines: numbers, times, what is cut and what goes on."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from jobs.log import first_error, viewer
from jobs.log import store as log_store
from jobs.models import Job, Status
from tests.jobs.rows import make_job

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def job_with(*pieces: bytes, complete: bool = False) -> Job:
    """A job whose log came in these pieces, a second apart."""
    job = make_job()
    for number, piece in enumerate(pieces):
        log_store.append(job, piece, AT + timedelta(seconds=number))
    job.log_complete = complete
    return job


def test_the_end_comes_first_and_says_where_it_ends() -> None:
    part = viewer.tail(job_with(b"one\ntwo\n", b"three\nfo"), 1)
    assert (part.first, part.texts) == (3, ["three", "fo"])
    assert (part.is_end, part.is_open, part.next_offset) == (True, True, 16)
    stamp = int((AT + timedelta(seconds=1)).timestamp() * 1000)
    assert part.times == [(3, stamp)]


def test_an_ended_log_has_no_open_line() -> None:
    part = viewer.tail(job_with(b"one\ntwo", complete=True))
    assert (part.texts, part.is_open, part.is_end) == (["one", "two"], False, True)


def test_nothing_printed_yet() -> None:
    part = viewer.tail(job_with())
    assert (part.first, part.texts, part.is_end, part.next_offset) == (1, [], True, 0)


def test_lines_round_a_line_are_those_of_the_whole() -> None:
    """Against the plain text, over many pieces of odd sizes."""
    chance = random.Random(5)
    texts = [f"line {n} " + "x" * chance.choice((0, 3, 400, 9000)) for n in range(1, 3000)]
    data = "\n".join(texts).encode() + b"\n"
    pieces = [data[at : at + 50_000] for at in range(0, len(data), 50_000)]
    job = job_with(*pieces)
    for line in (1, 2, 700, 1500, 2998, 2999):
        part = viewer.around(job, line, 100)
        assert line in range(part.first, part.first + len(part.texts))
        end = part.first - 1 + len(part.texts)
        assert part.texts == texts[part.first - 1 : end]
        assert viewer.before(job, line, 50).texts == texts[max(0, line - 51) : line - 1]
        assert viewer.after(job, line, 50).texts == texts[line : line + 50]
    assert viewer.after(job, 2999).texts == []
    assert viewer.tail(job, 10).texts == texts[-10:]


def test_what_follows_continues_where_a_part_ends() -> None:
    data = "".join(f"{n}\n" for n in range(1, 5001)).encode()
    job = job_with(data)
    part = viewer.after(job, 100, 50)
    assert data[: part.next_offset].endswith(b"\n150\n")
    assert not part.is_end
    assert viewer.after(job, 4990).is_end


def test_a_progress_bar_shows_what_it_painted_last() -> None:
    part = viewer.tail(job_with(b"start\n 10%\r 50%\r"))
    assert part.texts == ["start", " 50%"]
    assert part.returns
    assert viewer.tail(job_with(b"a\rb\r\n")).texts == ["b"]


def test_half_a_character_waits_for_the_other_half() -> None:
    part = viewer.tail(job_with("grün".encode()[:3]))
    assert (part.texts, part.next_offset) == (["gr"], 2)


def test_an_endless_line_is_cut_and_says_so() -> None:
    part = viewer.tail(job_with(b"first\n" + b"x" * 5_000_000 + b"\nlast\n"))
    assert part.texts[-1] == "last"
    assert part.first + len(part.texts) - 1 == 3
    assert (
        "more characters are in the download" in viewer.around(job_with(b"x" * 20_000), 1).texts[0]
    )


@pytest.mark.parametrize(
    ("log", "line", "text"),
    [
        (
            b"ok\nTraceback (most recent call last):\n  File x\nValueError: bad\n",
            4,
            "ValueError: bad",
        ),
        (
            b"a\n\x1b[31mtorch.cuda.OutOfMemoryError: CUDA\x1b[0m\nb\n",
            2,
            "torch.cuda.OutOfMemoryError: CUDA",
        ),
        (b"sh: 1: nonsense: command not found\n", 1, "sh: 1: nonsense: command not found"),
        (b"one\ntwo\n\n", 2, "two"),
    ],
)
def test_a_failed_job_quotes_its_first_error(log: bytes, line: int, text: str) -> None:
    job = job_with(log)
    job.status = Status.FAILED
    quote = first_error.quote(job)
    assert quote is not None
    assert (quote.line, quote.text) == (line, text)


def test_only_a_failure_is_quoted() -> None:
    assert first_error.quote(job_with(b"ValueError: bad\n")) is None
