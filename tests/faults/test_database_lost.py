"""PostgreSQL crashes, and stops at once, under load: nothing that was answered is lost."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import redis

from accounts.models import Role, Scope, Team
from tests import factories
from tests.faults import INTERVAL, TTL, WINDOW, databases
from tests.faults.conftest import Collect, StartMachines, StartSite
from tests.faults.machines import Machine
from tests.faults.records import Samples, now, state, windows
from tests.faults.site import Answer, Server, Site
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

PROMISED_RECOVERY = 10.0


class Writer:
    """Adds machines through the API without pause and notes what was answered."""

    def __init__(self, site: Site, token: str, team: Team) -> None:
        self.kept: set[str] = set()
        self.refused: list[Answer] = []
        self._site, self._token, self._team = site, token, team
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join(20)

    def _loop(self) -> None:
        number = 0
        while not self._stopping.wait(0.05):
            number += 1
            body = {
                "name": f"written-{number}",
                "hostname": "192.0.2.7",
                "username": "ml",
                "auth_method": "password",
                "password": "not-used",
                "auto_connect": False,
                "team_id": str(self._team.pk),
            }
            answer = self._site.ask("POST", "/api/v1/connections", self._token, body)
            if answer.status == 201:
                self.kept.add(answer.body["id"])
            else:
                self.refused.append(answer)


def test_answered_writes_stay_and_windows_are_written_later(
    start_site: StartSite,
    start_machines: StartMachines,
    collect: Collect,
    own_postgres: tuple[Server, str],
    redis_client: redis.Redis,
) -> None:
    server, database_url = own_postgres
    machines = start_machines(3)
    writer_token, team = _administrator()
    site = start_site(database_url=database_url)
    databases.copy(start_site().database_url, database_url)
    samples = collect(site, machines)
    keeper = site.keeper()
    site.beat()
    site.web()
    until(lambda: samples.have_all(2), "samples of all")
    writer = Writer(site, writer_token, team)
    with writer.writing():
        until(lambda: len(writer.kept) > 5, "writes are answered")
        stopped, back = _crash(server, database_url)
        recovery = _recovery(site, samples, machines, writer, back)
        until(
            lambda: all(max(windows(site, m.id), default=0) > back for m in machines),
            "windows are saved",
            seconds=WINDOW * 4 + 20,
        )
        kept = "the lease ended" not in keeper.log.read_text()
        if kept:
            # Back before the lease ended: sessions stayed, every reading was saved later.
            assert [machine.logins for machine in machines] == [1, 1, 1]
            for machine in machines:
                _all_saved(windows(site, machine.id), samples.times(machine.id), stopped)

        stopped_long = server.stop(signal.SIGQUIT)
        until(lambda: now() > stopped_long + TTL + 2 * INTERVAL, "the lease ends")
        back_late = server.start()
        recovery_late = _recovery(site, samples, machines, writer, back_late)
    print(
        f"F14: away {back - stopped:.1f} s, sessions kept: {kept}, recovered {recovery:.2f} s; "
        f"away {back_late - stopped_long:.1f} s, recovered {recovery_late:.2f} s; "
        f"{len(writer.kept)} writes answered, {len(writer.refused)} refused"
    )
    there = {str(id) for (id,) in site.query("SELECT id FROM connections_connection")}
    assert writer.kept <= there
    assert {answer.status for answer in writer.refused} <= {503}
    assert max((answer.seconds for answer in writer.refused), default=0) < 4
    assert max(recovery, recovery_late) <= PROMISED_RECOVERY
    for machine in machines:
        numbers = [one.seq for one in samples.seen[machine.id]]
        assert numbers == list(range(1, len(numbers) + 1))


def _recovery(
    site: Site, samples: Samples, machines: list[Machine], writer: Writer, back: float
) -> float:
    """Seconds until samples flow, the lease is renewed and writes are answered again."""
    answered = len(writer.kept)
    until(lambda: samples.have_all(1, back), "samples of all again")
    heartbeat = "SELECT max(heartbeat_at) FROM connections_keeper"
    until(lambda: site.query(heartbeat)[0][0].timestamp() > back, "a renewed lease")
    until(lambda: len(writer.kept) > answered, "writes are answered again")
    well = ("connected", "")
    until(lambda: all(state(site, m.id) == well for m in machines), "all are shown connected")
    return now() - back


def _crash(server: Server, database_url: str) -> tuple[float, float]:
    """Kill one of its processes: it ends all others and recovers; when it went and came back."""
    victim = psycopg.connect(database_url)
    gone = now()
    os.kill(victim.info.backend_pid, signal.SIGKILL)
    time.sleep(0.2)
    until(server.is_ready, "PostgreSQL answers")
    victim.close()
    return gone, now()


def _administrator() -> tuple[str, Team]:
    person, team = factories.make_user(), factories.make_team()
    factories.join(person, team, Role.ADMINISTRATOR)
    return factories.make_token(person, Scope.ADMIN), team


def _all_saved(saved: dict[float, int], shown: list[float], since: float) -> None:
    """The windows around that moment hold every reading that was shown."""
    near = [end for end in saved if since - WINDOW < end - WINDOW <= since]
    assert near, "the window in which it stopped was never written"
    for end in near:
        expected = sum(end - WINDOW <= at < end for at in shown)
        assert abs(saved[end] - expected) <= 1, f"{saved[end]} of {expected} readings"
