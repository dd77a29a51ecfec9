"""What all trials share: one site over one machine, a person who asks it for jobs."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from accounts.models import Role, Scope
from tests import factories
from tests.faults.jobs import PATIENCE_SECONDS
from tests.faults.jobs.host import Host
from tests.faults.jobs.oracle import Final
from tests.faults.names import NAME, Names
from tests.faults.network import Network
from tests.faults.site import Answer, Program, Server, Site
from tests.jobs.rows import make_project
from tests.waiting import until

_FINAL = frozenset({"completed", "failed", "stopped", "lost"})


@dataclass(frozen=True)
class Owner:
    """Whose token asks, and in which project."""

    token: str
    project_id: str


def make_owner(host: Host, names: Names | None) -> Owner:
    """Rows for a person, a team, its machine `host` and a project there.

    The machine is known by its name where that can be found.
    """
    person, team = factories.make_user(), factories.make_team()
    factories.join(person, team, Role.ADMINISTRATOR)
    machine = factories.make_connection(
        team,
        hostname=NAME if names is not None else host.address,
        port=host.server.port,
        username=host.server.user,
        host_key=host.server.host_key_fingerprint,
        is_active=True,
    )
    machine.set_secret("private_key", host.server.client_key)
    machine.save()
    project = make_project(machine, host.home)
    return Owner(factories.make_token(person, Scope.ADMIN), str(project.pk))


class Stage:
    """The parts that a fault may hurt, and the ways to ask for jobs and to read their end."""

    def __init__(
        self,
        site: Site,
        host: Host,
        owner: Owner,
        postgres: Server,
        room: Network | None,
        names: Names | None,
    ) -> None:
        self.site, self.host, self.postgres = site, host, postgres
        self.room, self.names = room, names
        self._owner = owner
        self._start_site()

    def _start_site(self) -> None:
        self.site.web()
        self.worker, self.beat = self.site.worker(), self.site.beat()
        self.keeper = self.site.keeper()

    def mend(self) -> None:
        """Make everything whole, whatever a trial that was given up has left behind."""
        for link in (self.room, self.names):
            if link is not None:
                link.heal()
        self.host.mend()
        self.site.kill()
        if not self.postgres.is_ready():
            self.postgres.close()
            self.postgres.start()
        self._start_site()

    def replace_keeper(self, fail_at: str = "") -> Program:
        """Another keeper in place of the one there is; that one is killed if it still lives."""
        self.keeper.kill()
        self.keeper = self.site.keeper(fail_at=fail_at)
        return self.keeper

    def wait_connected(self) -> None:
        """Until a keeper that is alive holds the machine and has it connected."""
        since = time.time()
        statement = (
            "SELECT 1 FROM connections_connection c JOIN connections_keeper k ON k.id = c.owner_id "
            "WHERE c.status = 'connected' AND k.heartbeat_at > to_timestamp(%s)"
        )
        until(
            lambda: self.site.query(statement, since),
            "the machine is connected",
            seconds=PATIENCE_SECONDS,
        )

    def wait_cut_off(self) -> None:
        """Until the keeper has seen that its session is gone."""
        statement = "SELECT 1 FROM connections_connection WHERE status <> 'connected'"
        until(lambda: self.site.query(statement), "the session is lost", seconds=PATIENCE_SECONDS)

    def submit(self, name: str, command: str, copies: int) -> str:
        """Ask for a job, `copies` times at once under one key, until it is answered; its id."""
        body = {"project_id": self._owner.project_id, "name": name, "command": command}
        key = str(uuid.uuid4())
        made: set[str] = set()

        def ask(_: int) -> None:
            answer = self._ask("POST", "/api/v1/jobs", body, key)
            if answer is None:
                return
            if answer.status == 201:
                made.add(answer.body["id"])
            else:
                assert answer.status in {409, 503}, answer

        def is_made() -> bool:
            with ThreadPoolExecutor(copies) as threads:
                list(threads.map(ask, range(copies)))
            return bool(made)

        until(is_made, "a job is made", seconds=PATIENCE_SECONDS)
        assert len(made) == 1, made
        return made.pop()

    def stop_after(self, job_id: str, seconds: float) -> bool:
        """Wait, then ask to stop a job until that is answered; False when it had ended before.

        What was not answered, or by a 503 whose commit may have come through, was perhaps heard.
        """
        time.sleep(seconds)
        answers: list[Answer | None] = []

        def is_answered() -> bool:
            answers.append(self._ask("POST", f"/api/v1/jobs/{job_id}/stop"))
            return answers[-1] is not None and answers[-1].status in {202, 409}

        until(is_answered, "a stop is answered", seconds=PATIENCE_SECONDS)
        return any(answer is None or answer.status != 409 for answer in answers)

    def count(self, name: str) -> int:
        """How many jobs of that name there are."""
        return int(self.site.query("SELECT count(*) FROM jobs_job WHERE name = %s", name)[0][0])

    def status(self, job_id: str) -> str:
        statement = "SELECT status FROM jobs_job WHERE id = %s"
        return str(self.site.query(statement, job_id)[0][0])

    def is_final(self, job_id: str) -> bool:
        return self.status(job_id) in _FINAL

    def story(self, job_id: str) -> list[str]:
        """The steps of a job, for who asks how it came to its end."""
        statement = (
            "SELECT to_char(at, 'HH24:MI:SS.MS'), from_status, to_status, who, why "
            "FROM jobs_jobchange WHERE job_id = %s ORDER BY id"
        )
        return [" ".join(row) for row in self.site.query(statement, job_id)]

    def final(self, job_id: str, seconds: float) -> Final:
        """How it ended; after `seconds` whatever state it is in then."""
        deadline = time.monotonic() + seconds
        while not self.is_final(job_id) and time.monotonic() < deadline:
            time.sleep(0.05)
        statement = "SELECT status, exit_code FROM jobs_job WHERE id = %s"
        status, code = self.site.query(statement, job_id)[0]
        return Final(status, code, self._log(job_id) == self.host.log(job_id))

    def _log(self, job_id: str) -> bytes:
        """The site's copy of a log, as soon as it answers again."""
        path = f"/api/v1/jobs/{job_id}/log/download"
        got: list[bytes | None] = [None]

        def is_sent() -> bool:
            got[:] = [self.site.download(path, self._owner.token)]
            return got[0] is not None

        until(is_sent, "a log is sent", seconds=PATIENCE_SECONDS)
        return got[0] or b""

    def _ask(self, method: str, path: str, body: object = None, key: str = "") -> Answer | None:
        """None when nobody answered in time."""
        with suppress(OSError):
            return self.site.ask(method, path, self._owner.token, body, key)
        return None
