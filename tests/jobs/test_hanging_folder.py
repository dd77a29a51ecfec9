"""A job whose project lies on a mount that hangs, beside what else goes on at its machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connections.files import folders
from connections.keeper.keeper import Keeper
from connections.models import Connection
from jobs.models import Job, Status
from projects.models import Project
from tests import sshd
from tests.connections.conftest import state
from tests.connections.test_keeper import statuses
from tests.jobs.conftest import ended
from tests.jobs.machine import Machine
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

# Stops before it answers, as one does that waits for a disk; ends with the server.
_SFTP = """#!/bin/sh
if [ -e "$HOME/hangs" ]; then kill -STOP $$; fi
exec {program}
"""
_PROGRAMS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[sshd.Sshd]:
    found = [program for program in _PROGRAMS if Path(program).exists()]
    if not found:
        pytest.skip("no sftp-server")
    home, server = tmp_path / "home", tmp_path / "sftp"
    home.mkdir()
    server.write_text(_SFTP.format(program=found[0]))
    server.chmod(0o755)
    running = sshd.start(
        tmp_path / "sshd", environment={"HOME": str(home)}, options={"Subsystem": f"sftp {server}"}
    )
    yield running
    running.stop()
    Machine(home).clean()


def test_it_waits_alone_and_starts_once_its_folder_answers(
    submit: Callable[..., Job],
    machine_row: Connection,
    start_keeper: Callable[[], Keeper],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(folders, "ANSWER_SECONDS", 1.0)
    hangs = tmp_path / "home/hangs"
    hangs.touch()
    bad = submit("echo ran", gpus=0)
    Project.objects.filter(pk=bad.project_id).update(resolved_path="", remote_path="~")
    keeper = start_keeper()
    until(lambda: state(machine_row) == ("connected", ""))
    link = keeper._held[machine_row.pk].link
    assert link is not None

    def says_why() -> bool:
        bad.refresh_from_db()
        return "a mount that hangs" in bad.detail

    until(says_why, "it says why")
    assert bad.status == Status.STARTING
    good = submit("exit 3", gpus=0)
    assert ended(good).exit_code == 3
    before = link.last_progress
    until(lambda: link.last_progress > before, "readings go on")
    assert keeper._held[machine_row.pk].link is link
    assert statuses(machine_row) == ["connecting", "connected"]

    hangs.unlink()
    assert ended(bad).exit_code == 0
    assert bad.detail == ""
    assert keeper._held[machine_row.pk].link is link
