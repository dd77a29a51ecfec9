"""What a job prints and a colleague types never steers the terminal of who reads it."""

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from typing import Any

import pytest

from tests.client.conftest import CLIENT, Command, Fickle

sys.path.insert(0, str(CLIENT))

from dgxsite_client import terminal

# Screen, title, clipboard, hyperlink, answers that the shell would read, C1, direction, and halves.
HOSTILE = (
    "\x1b[2J\x1b[H\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07\x1b]8;;http://x\x1b\\\x1bP+q\x1b\\"
    "\x1b[6n\x1b[c\x9b31m\x90q\x9c\x1bc\x1b(0\x1b#8\x07\x08\x7f\x00\x0b\x0c\x0e\x1b[\x1b"
    "\u202e\u2066\u200f\u2028\u2029\ud800end"
)
_STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
JOB = "00000000-0000-4000-8000-000000000001"


def job(**fields: Any) -> dict[str, Any]:
    return {
        "id": JOB, "name": f"job {HOSTILE}", "status": "queued", "granted_gpus": [], "gpus": 1,
        "waiting_reason": f"waits {HOSTILE}", "detail": "", "connection_id": "m", "exit_code": None,
        "requested_by": f"by {HOSTILE}", "started_at": None, "completed_at": None,
    } | fields  # fmt: skip


def answer(value: Any, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps(value).encode()


def log(text: str, start: int, end: int) -> tuple[int, dict[str, str], bytes]:
    return answer({"text": text, "offset": start, "next_offset": end, "complete": True})


def page(*items: Any) -> tuple[int, dict[str, str], bytes]:
    return answer({"items": list(items), "count": len(items)})


def on_a_terminal(command: Command, *arguments: str) -> str:
    """What the terminal would be sent, of stdout and stderr together."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command.line(*arguments), stdout=theirs, stderr=theirs, env=command.all_of({})
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65_536):
            seen += piece
    except OSError:
        pass  # how Linux says that the other end is closed
    finally:
        os.close(ours)
    process.wait(timeout=60)
    return seen.decode("utf-8")


MACHINE = {"id": "m", "name": f"spark {HOSTILE}", "status": f"away {HOSTILE}"}
PROBLEM = {"detail": f"no {HOSTILE}", "title": "x", "errors": []}
FIELDS = {"errors": [{"field": HOSTILE, "message": HOSTILE}]}
COMMANDS: dict[str, tuple[list[str], list[tuple[int, dict[str, str], bytes]]]] = {
    "logs": (["logs", JOB], [answer(job()), log(HOSTILE, 0, 99), log("", 99, 99)]),
    "a log in pieces": (
        ["logs", JOB],
        [answer(job()), log("\x1b", 0, 1), log("]0;title\x07", 1, 9), log("", 9, 9)],
    ),
    "logs -f": (
        ["logs", "-f", JOB],
        [
            answer(job()),
            answer(job()),
            log(HOSTILE, 0, 99),
            log("", 99, 99),
            answer(job(status="failed", exit_code=3, detail=HOSTILE)),
            log("", 99, 99),
        ],
    ),
    "ps": (["ps", "--all"], [page(job()), page(MACHINE)]),
    "gpus": (["gpus"], [page(MACHINE)]),
    "stop": (["stop", JOB], [answer(job()), answer(job())]),
    "stop, refused": (["stop", JOB], [answer(job()), answer(PROBLEM, 409)]),
    "a problem": (["ps"], [answer(PROBLEM, 403)]),
    "blamed fields": (["ps"], [answer(FIELDS, 422)]),
    "no such project": (
        ["run", "-p", "x", "true"],
        [page({"id": "1", "name": f"p {HOSTILE}"})],
    ),
    "run": (["run", "-p", "p", "true"], [page({"id": "1", "name": "p"}), answer({"id": HOSTILE})]),
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_nothing_from_the_site_steers_the_terminal(
    command: Command, fickle: Fickle, name: str
) -> None:
    line, fickle.answers = COMMANDS[name][0], list(COMMANDS[name][1])
    seen = on_a_terminal(command, *line)
    assert not _STEERING.search(seen), repr(seen)
    assert "end" in seen or name == "a log in pieces"
    assert "Traceback" not in seen


def test_every_command_is_tried() -> None:
    from dgxsite_client.commands import _COMMANDS

    assert {line[0] for line, _ in COMMANDS.values()} >= set(_COMMANDS) - {"login"}


def test_a_pipe_gets_the_log_as_it_is_and_so_does_a_terminal_that_asks(
    command: Command, fickle: Fickle
) -> None:
    coloured = "\x1b[31mred\x1b[0m\r\n50 %\r100 %\n"
    answers = [answer(job()), log(coloured, 0, 30), log("", 30, 30)]
    fickle.answers = list(answers)
    piped = subprocess.run(
        command.line("logs", JOB), capture_output=True, env=command.all_of({}), check=True
    )
    assert piped.stdout.decode() == coloured
    fickle.answers = list(answers)
    assert "\x1b[31mred\x1b[0m" in on_a_terminal(command, "logs", "--raw", JOB)
    fickle.answers = list(answers)
    assert on_a_terminal(command, "logs", JOB).replace("\r\r\n", "\r\n").startswith("red\r\n50 %\r")


def test_tabs_ends_of_lines_and_progress_bars_stay() -> None:
    assert terminal.text("a\tb\r\n10 %\r20 %\n") == "a\tb\r\n10 %\r20 %\n"
    assert terminal.line("x\rdgxsite: all is well\n") == "x?dgxsite: all is well?"
    assert terminal.text("Grüße, 世界 👩‍🔬") == "Grüße, 世界 👩‍🔬"


def test_every_control_and_every_turn_of_direction_is_taken_out() -> None:
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for code in range(0x110000):
        character = chr(code)
        is_unsafe = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        if is_unsafe or unicodedata.bidirectional(character) in turning:
            kept = character if character in "\t\r\n" else "?"
            assert terminal.text(character) == kept, hex(code)
            assert terminal.line(character) == "?", hex(code)


def test_a_long_hostile_log_is_cleaned_in_linear_time() -> None:
    for pattern in ("\x1b[" + "1" * 200, "\x1b]", "\x1b]" + "x" * 20_000, "\x1b[1;", "\x1b"):
        piece = pattern * (1_000_000 // len(pattern))
        assert "\x1b" not in terminal.text(piece)
