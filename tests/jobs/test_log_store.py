"""The log in PostgreSQL: every byte once, found again, read and masked."""

import random
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection as database
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from jobs import broadcast, masking
from jobs.log import search as log_search
from jobs.log import store as log_store
from jobs.models import Job, LogChunk
from tests.jobs.rows import make_job

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def filled(text: bytes, piece: int = 1000) -> Job:
    job = make_job()
    for start in range(0, len(text), piece):
        log_store.append(job, text[start : start + piece], NOW)
    return job


@pytest.mark.django_db
@pytest.mark.parametrize("piece", [7, 1000, 300_000])
def test_gives_back_what_was_appended(piece: int) -> None:
    text = random.Random(piece).randbytes(min(700_000, 150 * piece))
    job = filled(text, piece)
    assert b"".join(log_store.every_piece(job)) == text
    for offset, limit in ((0, 10), (len(text) // 2, 300_000), (len(text) - 1, 5), (len(text), 5)):
        assert log_store.read(job, offset, limit) == text[offset : offset + limit]
    chunks = list(LogChunk.objects.filter(job=job))
    assert all(chunk.length <= log_store.CHUNK_BYTES for chunk in chunks)
    assert len(chunks) <= len(text) // log_store.GROWING_BYTES + 2
    seen = 0
    for chunk in chunks:
        assert (chunk.offset, chunk.length) == (seen, len(zlib.decompress(chunk.data)))
        assert chunk.first_line == text[:seen].count(b"\n")
        seen += chunk.length
    job.refresh_from_db()
    assert (job.log_bytes, job.log_lines) == (len(text), text.count(b"\n"))


@pytest.mark.django_db
def test_of_two_who_append_from_one_offset_the_second_appends_nothing() -> None:
    job = make_job()
    other = Job.objects.get(pk=job.pk)
    log_store.append(job, b"first", NOW)
    with pytest.raises(log_store.Overtaken):
        log_store.append(other, b"other", NOW)
    assert b"".join(log_store.every_piece(job)) == b"first"


@pytest.mark.django_db
def test_finds_lines_across_pieces_with_number_and_offset() -> None:
    lines = [b"line %d %s" % (n, b"x" * 50) for n in range(20_000)]
    lines[7], lines[15_000] = b"An Error here", b"another ERROR \xff"
    text = b"\n".join(lines)
    job = filled(text, 70_000)
    search = log_search.search(job, "error")
    found = search.found
    assert search.is_whole
    assert [(one.line, one.text) for one in found] == [
        (8, "An Error here"),
        (15_001, "another ERROR \ufffd"),
    ]
    for one in found:
        assert text[one.offset :].startswith(lines[one.line - 1])
    assert log_search.search(job, "not there").found == []
    assert len(log_search.search(job, "line", most=10).found) == 10


@pytest.mark.django_db
def test_finds_what_a_look_at_each_line_finds() -> None:
    """Blocks of lines are looked at as a whole first: letters that fold to others must not slip."""
    shapes = [b"STRASSE", "Straße".encode(), "\u212a".encode(), b"\xff\xfeK", b"", b"k" * 3000]
    lines = [shapes[n * n % len(shapes)] for n in range(4000)]
    job = filled(b"\n".join(lines), 30_001)
    for words in ("strasse", "K", "\ufffd", "kk", "e\nk"):
        folded = [line.decode("utf-8", "replace").casefold() for line in lines]
        expected = [n + 1 for n, line in enumerate(folded) if words.casefold() in line]
        search = log_search.search(job, words, most=10_000)
        assert [one.line for one in search.found] == expected


@pytest.mark.django_db
def test_a_search_ends_in_time_and_says_so() -> None:
    job = filled(b"a line\n" * 200_000, 70_000)
    search = log_search.search(job, "not there", seconds=0)
    assert (search.found, search.is_whole) == ([], False)


@pytest.mark.django_db
def test_a_piece_that_grows_while_it_is_searched_is_searched_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = filled(b"one\n", 70_000)
    more = iter([b"two\nthr", b"ee\n" + b"x\n" * 40_000 + b"four\n"])
    monkeypatch.setattr("time.sleep", lambda _: log_store.append(job, next(more, b""), NOW))
    found = log_search.search(job, "").found[:3] + log_search.search(job, "four").found
    assert [(one.line, one.text) for one in found] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
        (40_004, "four"),
    ]


@pytest.mark.django_db
def test_an_endless_line_is_searched_in_parts() -> None:
    job = filled(b"x" * 3_000_000 + b"needle" + b"x" * 3_000_000 + b"\nneedle", 200_000)
    found = log_search.search(job, "needle").found
    assert [one.line for one in found] == [1, 2]


@given(st.text(), st.integers(0, 20))
def test_never_cuts_a_character(text: str, cut: int) -> None:
    data = text.encode("utf-8", "surrogatepass")[:cut]
    whole = log_store.whole_characters(data)
    assert data.startswith(whole)
    assert len(data) - len(whole) <= 3
    if not any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        whole.decode("utf-8")


SECRETS = [b"hunter22", b"hunter", b"ab\xc3\xa9cd"]


@given(st.lists(st.sampled_from([*SECRETS, b"hunt", b"er22", b"h", b"x\n", b"ab"])), st.data())
def test_no_secret_is_kept_however_it_comes_in_pieces(
    parts: list[bytes], data: st.DataObject
) -> None:
    text = b"".join(parts)
    at, kept = 0, b""
    while at < len(text):
        piece = text[at : at + data.draw(st.integers(1, 12))]
        is_end = at + len(piece) == len(text)
        masked = masking.mask(piece, SECRETS, is_end=is_end)
        if not masked and not is_end:  # a reader asks again, for more
            piece = text[at : at + 40]
            masked = masking.mask(piece, SECRETS, is_end=at + len(piece) == len(text))
        kept += masked
        at += len(masked)
    assert len(kept) == len(text)
    assert not any(secret in kept for secret in SECRETS)
    assert all(a == b or a == ord("*") for a, b in zip(kept, text, strict=True))


def test_names_that_sound_secret() -> None:
    names = ["HF_TOKEN", "api_key", "DB_PASSWORD", "MY_SECRET"]
    assert all(masking.is_secret(name) for name in names)
    assert not masking.is_secret("EPOCHS")
    assert masking.is_secret("EPOCHS", ["EPOCHS"])
    values = {"A_KEY": "abc", "B_KEY": "abcd", "C": "efghi"}
    assert masking.secrets_of(values, ["C"]) == [b"efghi", b"abcd"]


@pytest.mark.django_db
@pytest.mark.parametrize("byte", [b"a", b"\x1b", b"\xff", "é".encode()])
def test_the_end_of_a_log_fits_a_frame(byte: bytes) -> None:
    job = filled(byte * 40_000, 20_000)
    tail = broadcast.tail(job)
    assert tail["next_offset"] == job.log_bytes
    assert tail["offset"] < tail["next_offset"]
    assert len(tail["text"]) > 1000


def journalled() -> int:
    """Bytes that this connection has written to the database's journal (WAL) so far."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT wal_bytes FROM pg_stat_get_backend_wal(pg_backend_pid())")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("what", "line", "count", "most"),
    [
        ("lines", b"epoch 3 step 1200 loss=0.48213 lr=0.0003 12.4 it/s 41 W 61.2 C\n", 1000, 4.0),
        ("dots", b".", 700, 250.0),
        ("a flood", bytes(range(256)) * 256, 40, 1.5),
    ],
)
def test_a_byte_of_log_costs_few_bytes_of_journal(
    what: str, line: bytes, count: int, most: float
) -> None:
    job = make_job()
    log_store.append(job, line, NOW)  # whole pages are journalled when they are first touched
    before = journalled()
    for number in range(count):
        log_store.append(job, line, NOW + timedelta(seconds=number))
    log_store.seal(job)
    ratio = (journalled() - before) / (count * len(line))
    print(f"{what}: {ratio:.2f} bytes of WAL for each byte of log")
    assert ratio <= most
    assert b"".join(log_store.every_piece(job)) == line * (count + 1)


@pytest.mark.django_db(transaction=True)
def test_what_a_crash_of_the_database_took_is_read_again() -> None:
    text = b"".join(b"line %d\n" % number for number in range(6000))
    job = filled(text, 5000)
    with database.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_logchunk_fresh")  # as recovery does
    with pytest.raises(log_store.Overtaken):
        log_store.append(job, b"more", NOW)
    job.refresh_from_db()
    assert log_store.step_back(job)
    job.refresh_from_db()
    assert 0 < job.log_bytes < len(text)
    assert job.log_lines == text[: job.log_bytes].count(b"\n")
    assert not log_store.step_back(job)
    log_store.append(job, text[job.log_bytes :], NOW)
    assert b"".join(log_store.every_piece(job)) == text


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_log_is_written_for_good() -> None:
    job = filled(b"a line\n" * 10, 7)
    log_store.seal(job)
    with database.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_logchunk_fresh")
    assert b"".join(log_store.every_piece(job)) == b"a line\n" * 10
    assert not log_store.step_back(job)
    log_store.append(job, b"one more\n", NOW)
    assert b"".join(log_store.every_piece(job)) == b"a line\n" * 10 + b"one more\n"


@pytest.mark.django_db
def test_nothing_is_kept_beyond_the_limit_and_the_log_says_so(settings: Settings) -> None:
    settings.JOB_LOG_LIMIT_BYTES = 100_000
    job = make_job()
    kept = [log_store.append(job, b"x" * 30_000, NOW) for _ in range(5)]
    text = b"".join(log_store.every_piece(job))
    assert b"".join(kept) == text
    assert text[:100_000] == b"x" * 100_000
    assert text[100_000:].decode() == (
        "\n[dgxsite: a log is kept up to 98 KiB; what follows is not.]\n"
    )
    assert log_store.is_full(job)
    assert log_store.awaited(job, 10**12) <= 0
    job.refresh_from_db()
    assert job.log_bytes == len(text)


@pytest.mark.django_db
@pytest.mark.parametrize("piece", [1, 700, 40_000, 600_000])
def test_every_byte_has_the_time_at_which_it_came(piece: int) -> None:
    job = make_job()
    count = min(1500, 1_500_000 // piece)
    for number in range(count):
        log_store.append(job, b"x" * piece, NOW + timedelta(seconds=number))
    for chunk in LogChunk.objects.filter(job=job):
        assert chunk.times[0][0] <= chunk.offset
        assert len(chunk.times) <= log_store.GROWN_TIMES
        for offset, stamp in chunk.times:
            came = (stamp - int(NOW.timestamp() * 1000)) // 1000
            assert came == offset // piece
            assert offset < chunk.offset + chunk.length
