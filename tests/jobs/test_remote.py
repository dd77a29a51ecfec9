"""What comes back from a machine is read or refused, whatever it is."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import remote

MARKER = "0123456789abcdef" * 2
JOB = uuid.UUID("11111111-2222-3333-4444-555555555555")
HEAD = f"{MARKER} B boot 1000\n".encode()
END = f"{MARKER} E\n".encode()


def record(*fields: object) -> bytes:
    return f"{MARKER} J {JOB} {' '.join(map(str, fields))}\n".encode()


def test_reads_a_log_of_any_bytes_between_noise() -> None:
    log = b"\n" + END + bytes(range(256))
    body = record(1, 1, 1, 7, 8, "boot", 940, "-", "-", "-", "-", len(log), len(log)) + log + b"\n"
    owners = f"{MARKER} P 7 {JOB}\n{MARKER} P 9 -\n".encode()
    found = remote.parse(b"Welcome!\n" + HEAD + body + owners + END + b"bye", MARKER)
    assert found.boot_id == "boot"
    assert found.owners == {7: JOB, 9: None}
    seen = found.jobs[JOB]
    assert (seen.pid, seen.start, seen.exit_code, seen.log) == (7, 8, None, log)
    assert (seen.began_ago, seen.ended_ago) == (60, None)


@pytest.mark.parametrize(
    "fields",
    [
        (1, 1, 1, 7, 8, "b", "-", "-", "-", "-", "-", 0),
        (1, 1, 1, "x", 8, "b", "-", "-", "-", "-", "-", 0, 0),
        (1, 1, 1, -7, 8, "b", "-", "-", "-", "-", "-", 0, 0),
        (1, 1, 1, 2**31, 8, "b", "-", "-", "-", "-", "-", 0, 0),
        (1, 1, 1, 7, 8, "b", "-", 2**31, "-", "-", "-", 0, 0),
        (1, 1, 1, 7, 8, "b", "x", "-", "-", "-", "-", 0, 0),
        (1, 1, 1, 7, 8, "b", "-", 0, "-", "x", "-", 0, 0),
        (1, 1, 1, 7, 8, "b", "-", "-", "-", "-", "-", 2**63, 0),
        (1, 1, 1, 7, 8, "b", "-", "-", "-", "-", "-", 9, 9),
        (1, 1, 1, 7, 8, "b", "-", "-", "-", "-", "-", 0, -1),
        (1, 1, 1, "9" * 5000, 8, "b", "-", "-", "-", "-", "-", 0, 0),
    ],
)
def test_refuses_a_record_that_no_machine_of_ours_sends(fields: tuple[object, ...]) -> None:
    with pytest.raises(remote.Unreadable):
        remote.parse(HEAD + record(*fields) + b"\n" + END, MARKER)


@pytest.mark.parametrize("then", [1001, 2**61, "-"])
def test_a_clock_that_was_set_tells_no_age(then: object) -> None:
    body = record(1, 1, 1, 7, 8, "b", then, 0, "-", then, "-", 0, 0) + b"\n"
    seen = remote.parse(HEAD + body + END, MARKER).jobs[JOB]
    assert (seen.began_ago, seen.ended_ago) == (None, None)


_PARTS = st.sampled_from([MARKER.encode(), b" J ", b" B ", b" P ", b" E", b"\n", str(JOB).encode()])


@given(st.lists(_PARTS | st.binary(max_size=20) | st.integers().map(lambda n: b"%d " % n)))
def test_never_fails_otherwise(parts: list[bytes]) -> None:
    try:
        remote.parse(b"".join(parts), MARKER)
    except remote.Unreadable as error:
        said = str(error)
    else:
        said = ""
    assert said == "" or said.isprintable()


def test_programs_hold_nothing_but_what_is_checked() -> None:
    with pytest.raises(ValueError, match="marker"):
        remote.report("x'; id; '", [])
    with pytest.raises(ValueError, match="not a file"):
        remote.start(MARKER, JOB, {"../evil": b""})
    launch = remote.start(MARKER, JOB, {"command": b"'; touch evil; '"})
    assert b"touch evil" not in launch.command.encode()
