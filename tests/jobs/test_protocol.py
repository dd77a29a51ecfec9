"""What comes back from a machine is read or refused, whatever it is."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.remote import protocol as remote_protocol

MARKER = "0123456789abcdef" * 2
JOB = uuid.UUID("11111111-2222-3333-4444-555555555555")
OTHER = uuid.UUID("99999999-2222-3333-4444-555555555555")
HEAD = f"{MARKER} B boot 1000\n".encode()
END = f"{MARKER} E\n".encode()


def record(*fields: object, job: uuid.UUID = JOB) -> bytes:
    return f"{MARKER} J {job} {' '.join(map(str, fields))}\n".encode()


def test_reads_a_log_of_any_bytes_between_noise() -> None:
    log = b"\n" + END + bytes(range(256))
    body = record(1, 1, 1, 7, 8, "boot", 940, *"-----", len(log), len(log)) + log + b"\n"
    owners = f"{MARKER} P 7 {JOB}\n{MARKER} P 9 -\n".encode()
    found = remote_protocol.parse(b"Welcome!\n" + HEAD + body + owners + END + b"bye", MARKER)
    assert found.boot_id == "boot"
    assert found.owners == {7: JOB, 9: None}
    seen = found.jobs[JOB]
    assert (seen.pid, seen.start, seen.exit_code, seen.log) == (7, 8, None, log)
    assert (seen.began_ago, seen.ended_ago) == (60, None)


# Words of `started`, of `exit` and of `container` that no machine of ours writes there.
NONSENSE = [
    (("x", 8, "b", "-", *"----"), "started"),
    ((-7, 8, "b", "-", *"----"), "started"),
    ((2**31, 8, "b", "-", *"----"), "started"),
    (("9" * 5000, 8, "b", "-", *"----"), "started"),
    ((7, 2**63, "b", "-", *"----"), "started"),
    ((7, 8, "$(id)", "-", *"----"), "started"),
    ((7, "-", "-", "-", *"----"), "started"),
    ((7, 8, "b", "soon", *"----"), "started"),
    ((7, 8, "b", "-", 2**31, *"---"), "exit"),
    ((7, 8, "b", "-", "completed,", "0", "-", "-"), "exit"),
    ((7, 8, "b", "-", 256, *"---"), "exit"),
    ((7, 8, "b", "-", 0, "lunch", "-", "-"), "exit"),
    ((7, 8, "b", "-", 0, "-", "x", "-"), "exit"),
    ((7, 8, "b", "-", *"---", "../x"), "container"),
]
WHOLE = (7, 8, "b", "-", *"----")


@pytest.mark.parametrize(("words", "name"), NONSENSE)
def test_nonsense_spoils_one_file_of_one_job(words: tuple[object, ...], name: str) -> None:
    good = record(1, 1, 1, *WHOLE, "-", 0, 0, job=OTHER) + b"\n"
    found = remote_protocol.parse(
        HEAD + record(1, 1, 1, *words, "-", 0, 0) + b"\n" + good + END, MARKER
    )
    assert found.jobs[JOB].spoilt == (name,)
    assert found.jobs[JOB].is_alive
    assert found.jobs[OTHER].pid == 7
    assert found.jobs[OTHER].spoilt == ()


def test_files_that_are_none_are_named() -> None:
    body = record(1, 1, 1, *WHOLE, "exit,log,<script>", 0, 0) + b"\n"
    assert remote_protocol.parse(HEAD + body + END, MARKER).jobs[JOB].spoilt == ("exit", "log")


CUT = [
    record(1, 1, 1, *WHOLE, "-", 9, 9),
    record(1, 1, 1, *WHOLE, "-", 9, 9) + b"four\n",
    record(1, 1, 1, *WHOLE, "-", 0, -1) + b"\n",
    record(1, 1, 1, *WHOLE, "-", "x", 0) + b"\n",
    record(1, 1, 1, *WHOLE, "-", 0) + b"\n",
    record(1, 1, 1, "x\n\n"),
    record(1, 1, 1, *WHOLE, "-", 99, 99) + b"half\n" + f"{MARKER} X {JOB}\n".encode(),
    # So long that the rest of the answer fits in.
    record(1, 1, 1, *WHOLE, "-", 900, 115) + b"\n",
    b"\n" + f"{MARKER} X {JOB}\n".encode(),
    f"{MARKER} O {JOB} 9\nfour\n".encode(),
]


@pytest.mark.parametrize("cut", CUT)
def test_a_record_that_was_cut_is_that_jobs_alone(cut: bytes) -> None:
    good = record(1, 1, 1, *WHOLE, "-", 4, 4, job=OTHER) + b"good\n"
    found = remote_protocol.parse(HEAD + cut + good + END, MARKER)
    assert set(found.unread) == {JOB}
    assert found.jobs[OTHER].log == b"good"


def test_a_process_that_cannot_be_asked_is_nobodys() -> None:
    owners = f"{MARKER} P 7 ----\n{MARKER} P x -\n{MARKER} P 9 {JOB}\n".encode()
    assert remote_protocol.parse(HEAD + owners + END, MARKER).owners[9] == JOB


@pytest.mark.parametrize("then", [1001, 10**18 - 1, "-"])
def test_a_clock_that_was_set_tells_no_age(then: object) -> None:
    body = record(1, 1, 1, 7, 8, "b", then, 0, "-", then, "-", "-", 0, 0) + b"\n"
    seen = remote_protocol.parse(HEAD + body + END, MARKER).jobs[JOB]
    assert (seen.began_ago, seen.ended_ago) == (None, None)


_PARTS = st.sampled_from([MARKER.encode(), b" J ", b" B ", b" P ", b" E", b"\n", str(JOB).encode()])


@given(st.lists(_PARTS | st.binary(max_size=20) | st.integers().map(lambda n: b"%d " % n)))
def test_never_fails_otherwise(parts: list[bytes]) -> None:
    try:
        remote_protocol.parse(b"".join(parts), MARKER)
    except remote_protocol.Unreadable as error:
        said = str(error)
    else:
        said = ""
    assert said == "" or said.isprintable()


def test_programs_hold_nothing_but_what_is_checked() -> None:
    with pytest.raises(ValueError, match="marker"):
        remote_protocol.report("x'; id; '", [])
    with pytest.raises(ValueError, match="not a file"):
        remote_protocol.start(MARKER, JOB, {"../evil": b""})
    launch = remote_protocol.start(MARKER, JOB, {"command": b"'; touch evil; '"})
    assert b"touch evil" not in launch.command.encode()
