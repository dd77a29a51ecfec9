"""The command under the login shells that people have, with rc files that talk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics.collectors.program import launch
from tests.collectors.machine import MARKER, Machine, is_complete, make_machine
from tests.programs import require_program

NOISE = 'echo "welcome to {{7*7}} $HOST"; echo "oops" >&2\n'
# Shell → the rc file that it reads even for one command, under the home directory.
RC_FILES = {
    "bash": ".rc",
    "dash": ".rc",
    "busybox": ".rc",
    "fish": ".config/fish/config.fish",
    "tcsh": ".tcshrc",
    "csh": ".cshrc",
}


@pytest.fixture(params=list(RC_FILES))
def login(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Machine, list[str]]]:
    """A machine, and the words that start its login shell."""
    shell: str = request.param
    path = require_program(shell)
    machine = make_machine(tmp_path)
    yield machine, [path, "sh"] if shell == "busybox" else [path]
    machine.end()


def write_rc(home: Path, login: list[str], text: str) -> dict[str, str]:
    """Give the login shell an rc file; the environment that makes it read it."""
    name = RC_FILES[Path(login[0]).name]
    rc = home / name
    rc.parent.mkdir(parents=True, exist_ok=True)
    rc.write_text(text)
    # bash reads no rc file for a command of a plain subprocess; under sshd it does.
    return {"HOME": str(home), "BASH_ENV": str(rc), "XDG_CONFIG_HOME": str(home / ".config")}


def test_runs_behind_a_noisy_rc_file(login: tuple[Machine, list[str]], tmp_path: Path) -> None:
    machine, words = login
    machine.start(*words, **write_rc(tmp_path, words, NOISE * 50))
    sample = machine.until(is_complete)
    assert sample.memory.total_bytes
    assert machine.collector.dropped == 0


def test_runs_nothing_when_an_rc_file_ate_its_beginning(
    login: tuple[Machine, list[str]], tmp_path: Path
) -> None:
    machine, words = login
    eater = "dd bs=1 count=300 of=/dev/null\n"
    machine.start(*words, **write_rc(tmp_path, words, eater))
    if Path(words[0]).name in ("dash", "busybox"):
        # Neither reads an rc file for a command, so nothing is eaten.
        machine.until(is_complete)
        return
    # The bytes that are missing come as heartbeat; the program must still not run.
    for _ in range(400):
        machine.write()
    assert machine.gone() < 10
    machine.read()
    assert not machine.collector.started


def test_command_is_plain_enough_for_every_shell() -> None:
    command = launch(MARKER).command
    quoted = command.split("'")
    assert len(quoted) == 3
    assert not set("\n\\!") & set(command)
    assert MARKER not in command


@pytest.mark.parametrize(
    "marker", ["", "x" * 32, "A" * 32, "0" * 31, "0" * 33, "';reboot;" + "0" * 23]
)
def test_refuses_a_marker_that_is_not_hexadecimal(marker: str) -> None:
    with pytest.raises(ValueError, match="marker"):
        launch(marker)
