"""A hostile job beside a good one, over a real OpenSSH server, with a real keeper."""

from collections.abc import Callable
from pathlib import Path

import pytest

from connections.keeper.keeper import Keeper
from jobs.log import store as log_store
from jobs.models import Job, Reason, Status
from tests.jobs.conftest import ended, status_of
from tests.jobs.test_whole_path import stop
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

Submit = Callable[..., Job]
StartKeeper = Callable[[], Keeper]

_AT = 'cd "$HOME/.dgxsite/jobs/$DGXSITE_JOB_ID"; '
_WAIT = "; until [ -e $HOME/go ]; do sleep 0.1; done; exit 3"

SPOILS = {
    "nonsense as its end": "head -c 5000 /dev/urandom >exit",
    "no end of a line": "head -c 5000000 /dev/zero | tr '\\0' 9 >exit",
    "a FIFO as its log": "rm log; mkfifo log",
    "FIFOs": "rm -f exit started reason log; mkfifo exit started reason log",
    "folders": "rm -f exit log; mkdir exit log",
    "links to devices": "ln -sf /dev/zero exit; ln -sf /dev/zero log",
}


@pytest.mark.parametrize("what", SPOILS)
def test_it_alone_is_unknown_and_ends_as_its_supervisor_says(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path, what: str
) -> None:
    bad = submit(_AT + SPOILS[what] + _WAIT, gpus=0)
    good = submit("echo one; until [ -e $HOME/on ]; do sleep 0.1; done; echo two; exit 5")
    start_keeper()
    until(lambda: status_of(bad) == Status.UNKNOWN)
    bad.refresh_from_db()
    assert bad.reason == Reason.UNREADABLE
    assert "cannot be read" in bad.detail
    (tmp_path / "home/on").touch()
    ended(good)
    assert (good.status, good.exit_code) == (Status.FAILED, 5)
    assert b"".join(log_store.every_piece(good)) == b"one\ntwo\n"
    assert status_of(bad) == Status.UNKNOWN
    (tmp_path / "home/go").touch()
    ended(bad)
    assert (bad.status, bad.exit_code) == (Status.FAILED, 3)


def test_an_end_that_it_writes_itself_changes_nothing(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path
) -> None:
    bad = submit(_AT + "echo '0 - 5' >exit; echo stop >reason; echo said" + _WAIT)
    next_one = submit("echo ran; exit 6", after=bad)
    start_keeper()
    until(lambda: Job.objects.get(pk=bad.pk).log_bytes > 0)
    good = submit("exit 7")
    ended(good)
    assert status_of(bad) == Status.RUNNING
    assert status_of(next_one) == Status.QUEUED
    (tmp_path / "home/go").touch()
    ended(bad)
    assert (bad.status, bad.exit_code) == (Status.FAILED, 3)


def test_an_end_without_a_supervisor_is_none(submit: Submit, start_keeper: StartKeeper) -> None:
    """It ends whoever watches over it, waits until that was seen, and says that all went well."""
    kill = 'kill -9 "$(cut -d" " -f1 supervisor)"; '
    bad = submit(_AT + kill + "until [ -e $HOME/go ]; do sleep 0.1; done; echo '0 - 5' >exit")
    start_keeper()
    until(lambda: Job.objects.get(pk=bad.pk).reason == Reason.UNSUPERVISED)
    (Path(bad.project.resolved_path) / "go").touch()
    ended(bad)
    assert (bad.status, bad.reason, bad.exit_code) == (Status.LOST, Reason.SUPERVISOR_LOST, None)


def test_a_folder_that_it_removes_keeps_its_place_while_it_runs(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path
) -> None:
    bad = submit("until [ -e $HOME/now ]; do sleep 0.1; done; rm -rf $HOME/.dgxsite/jobs/*" + _WAIT)
    start_keeper()
    until(lambda: Job.objects.filter(pk=bad.pk, pid__isnull=False, status="running").exists())
    # Nothing else writes there any more.
    until((tmp_path / "home/.dgxsite/jobs" / str(bad.pk) / "origin").exists)
    (tmp_path / "home/now").touch()
    until(lambda: status_of(bad) == Status.UNKNOWN)
    good = submit("exit 7")
    ended(good)
    assert good.exit_code == 7
    assert status_of(bad) == Status.UNKNOWN
    stop(bad)
    ended(bad)
    assert bad.status == Status.STOPPED


def test_who_hides_its_supervisor_is_lost_when_nothing_of_it_lives(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path
) -> None:
    hide = "rm -f exit supervisor; mkfifo exit supervisor"
    bad = submit(_AT + 'kill -9 "$(cut -d" " -f1 supervisor)"; ' + hide + _WAIT)
    start_keeper()
    until(lambda: status_of(bad) == Status.UNKNOWN)
    (tmp_path / "home/go").touch()
    ended(bad)
    assert (bad.status, bad.reason) == (Status.LOST, Reason.UNREADABLE)
    assert "Nothing of it lives" in bad.detail
