"""The faults that a job may meet: each breaks one thing on the stage and mends it again.

A strike gets the stage, the job and the trial's dice; when it returns nothing is broken any more.
`fail_at` names the place at which the keeper of that trial kills itself.
"""

import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import psutil

from core.background.queues import BROADCAST
from jobs.tasks import look, mark_unseen
from tests.faults.jobs import PATIENCE_SECONDS, SCALE
from tests.faults.jobs.stage import Stage
from tests.faults.network import Network
from tests.waiting import until

Strike = Callable[[Stage, str, Random], None]

_TTL = 8.0 * SCALE
# From a hiccup to longer than a job may stay unseen, a lease lasts and a session is believed.
_OUTAGE_SECONDS = (0.3, 24.0 * SCALE)


@dataclass(frozen=True)
class Fault:
    """One line of the table.

    `is_stopped`: its jobs are always asked to stop. `needs`: the part of the stage without which it
    cannot be made.
    """

    number: str
    what: str
    strike: Strike
    fail_at: str = ""
    is_stopped: bool = False
    needs: str = ""


def _at_its_place(stage: Stage, job_id: str, dice: Random) -> None:
    """The keeper dies by itself; but a job that ends first may never lead it to a stop."""

    def is_there() -> bool:
        return stage.keeper.process.poll() is not None or stage.is_final(job_id)

    until(is_there, "it dies at its place", seconds=PATIENCE_SECONDS)
    stage.replace_keeper()


def _at_its_place_and_again(stage: Stage, job_id: str, dice: Random) -> None:
    """As that; what it may not have acknowledged comes again."""
    _at_its_place(stage, job_id, dice)
    _redelivered(stage, job_id, dice)


def _killed_again(stage: Stage, job_id: str, dice: Random) -> None:
    """Twice while it reads the log."""
    for _ in range(2):
        stage.replace_keeper()
        stage.wait_connected()
        time.sleep(dice.uniform(0, 1))
    stage.replace_keeper()


def _killed(stage: Stage, job_id: str, dice: Random) -> None:
    stage.replace_keeper()


def _deployed(stage: Stage, job_id: str, dice: Random) -> None:
    programs = (stage.beat, stage.worker, stage.keeper)
    for program in programs:
        program.process.terminate()
    for program in programs:
        program.process.wait(PATIENCE_SECONDS)
    stage.worker, stage.beat = stage.site.worker(), stage.site.beat()
    stage.replace_keeper()


def _out_of_memory(stage: Stage, job_id: str, dice: Random) -> None:
    """Nothing more is given to it, a moment later the kernel ends it."""
    pid = stage.keeper.process.pid
    used = psutil.Process(pid).memory_info().vms
    resource.prlimit(pid, resource.RLIMIT_AS, (used, used))
    time.sleep(dice.uniform(0.1, 1.5))
    stage.replace_keeper()


def _slept(stage: Stage, job_id: str, dice: Random) -> None:
    """Longer than its lease; its successor is at work when it wakes."""
    sleeper = stage.keeper
    sleeper.signal(signal.SIGSTOP)
    stage.keeper = stage.site.keeper("successor")
    time.sleep(_TTL)
    stage.wait_connected()
    sleeper.signal(signal.SIGCONT)
    time.sleep(_TTL / 2)
    sleeper.kill()


def _database_stopped(stage: Stage, job_id: str, dice: Random) -> None:
    stage.postgres.stop(signal.SIGQUIT)
    time.sleep(dice.uniform(0.1, 1.5 * _TTL))
    stage.postgres.start()


def _link(strike: Callable[[Network, Random], None]) -> Strike:
    """The link is hurt for a while."""

    def run(stage: Stage, job_id: str, dice: Random) -> None:
        assert stage.room is not None
        strike(stage.room, dice)
        time.sleep(dice.uniform(*_OUTAGE_SECONDS))
        stage.room.heal()

    return run


def _lose_and_slow(room: Network, _: Random) -> None:
    room.lose()
    room.slow()


def _name_lost(stage: Stage, job_id: str, dice: Random) -> None:
    """The session is gone, and when the link is back the name is not found for a while."""
    assert stage.room is not None
    assert stage.names is not None
    dice.choice([stage.names.forget, stage.names.hush])()
    stage.room.refuse()
    stage.wait_cut_off()
    stage.room.heal()
    time.sleep(dice.uniform(*_OUTAGE_SECONDS))
    stage.names.heal()


def _supervisor_killed(stage: Stage, job_id: str, dice: Random) -> None:
    stage.host.kill_supervisor(job_id, lambda: stage.is_final(job_id))


def _command_killed(stage: Stage, job_id: str, dice: Random) -> None:
    stage.host.kill_command(job_id, lambda: stage.is_final(job_id))


def _vanish(room: Network, dice: Random) -> None:
    dice.choice([room.cut, room.cut_towards])()


def _frozen(stage: Stage, job_id: str, dice: Random) -> None:
    stage.host.server.signal_all(signal.SIGSTOP)
    time.sleep(dice.uniform(*_OUTAGE_SECONDS))
    stage.host.server.signal_all(signal.SIGCONT)


def _raced(stage: Stage, job_id: str, dice: Random) -> None:
    """Three keepers want the machine when the one that holds it dies."""
    others = [stage.site.keeper(f"rival-{number}") for number in range(2)]
    time.sleep(dice.uniform(0.5, 5))
    stage.replace_keeper()
    stage.wait_connected()
    for one in others:
        one.kill()


def _two_beats(stage: Stage, job_id: str, dice: Random) -> None:
    second = stage.site.beat()
    time.sleep(dice.uniform(2, 6))
    second.kill()


def _redelivered(stage: Stage, job_id: str, dice: Random) -> None:
    """The messages about jobs, five times each and in any order."""
    messages = [look, mark_unseen] * 5
    dice.shuffle(messages)
    for task in messages:
        task.apply_async(retry=False, **(BROADCAST if task is look else {}))


FAULTS = (
    Fault("F1", "keeper dies before it sends a start", _at_its_place, fail_at="pre_start"),
    Fault("F2", "keeper dies while a start is answered", _at_its_place, fail_at="post_send"),
    Fault("F3", "keeper dies before it writes the answer", _at_its_place, fail_at="pre_commit"),
    Fault(
        "F4",
        "keeper dies once the answer is written, messages again",
        _at_its_place_and_again,
        fail_at="post_commit",
    ),
    Fault("F5", "keeper dies in a stop", _at_its_place, fail_at="mid_stop", is_stopped=True),
    Fault("F6", "keeper killed again and again while it copies a log", _killed_again),
    Fault("F7", "keeper killed", _killed),
    Fault("F8", "keeper, worker and beat replaced", _deployed),
    Fault("F9", "keeper out of memory, then killed", _out_of_memory),
    Fault("F10", "keeper stopped for longer than its lease", _slept),
    Fault("F14", "PostgreSQL stopped at once", _database_stopped),
    Fault("F16", "packets vanish", _link(_vanish), needs="room"),
    Fault("F17", "connections reset", _link(lambda room, _: room.refuse()), needs="room"),
    Fault("F18", "slow link that loses one packet of twenty", _link(_lose_and_slow), needs="room"),
    Fault(
        "F19",
        "connections die in mid-transfer",
        _link(lambda room, dice: room.cut_after(dice.randrange(5_000, 60_000))),
        needs="room",
    ),
    Fault("F20", "machine's sshd frozen", _frozen),
    Fault("F21", "cable unplugged", _link(lambda room, _: room.unplug()), needs="room"),
    Fault("F21", "session cut, the machine's name not found", _name_lost, needs="names"),
    Fault("F22", "machine restarted", lambda stage, job_id, _: stage.host.reboot(job_id)),
    Fault("F23", "supervisor killed", _supervisor_killed),
    Fault("F23", "command killed", _command_killed),
    Fault("F34", "three keepers claim the machine", _raced),
    Fault("F35", "two beats", _two_beats),
    Fault("F36", "messages five times, in any order", _redelivered),
)
