"""What all trials share: one site over one machine, a person who asks it for jobs."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from accounts.models import Role, Scope
from tests import factories
from tests.faults.jobs.host import Host
from tests.faults.jobs.oracle import Final
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


def make_owner(host: Host) -> Owner:
    """Rows for a person, a team, its machine `host` and a project there."""
    person, team = factories.make_user(), factories.make_team()
    factories.join(person, team, Role.ADMINISTRATOR)
    machine = factories.make_connection(
        team,
        hostname=host.address,
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
        self, site: Site, host: Host, owner: Owner, postgres: Server, room: Network | None
    ) -> None:
        self.site, self.host, self.room, self.postgres = site, host, room, postgres
        self._owner = owner
        site.web()
        self.worker, self.beat = site.worker(), site.beat()
        self.keeper = site.keeper()

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
        until(lambda: self.site.query(statement, since), "the machine is connected", seconds=60)

    def submit(self, name: str, command: str, copies: int) -> str:
        """Ask for a job, `copies` times at once under one key, until it is answered; its id."""
        body = {"project_id": self._owner.project_id, "name": name, "command": command}
        key = str(uuid.uuid4())
        made: set[str] = set()

        def ask(_: int) -> None:
            answer = self._ask("POST", "/api/v1/jobs", body, key)
            if answer.status == 201:
                made.add(answer.body["id"])
            else:
                assert answer.status in {409, 503}, answer

        def is_made() -> bool:
            with ThreadPoolExecutor(copies) as threads:
                list(threads.map(ask, range(copies)))
            return bool(made)

        until(is_made, "a job is made", seconds=20)
        assert len(made) == 1, made
        return made.pop()

    def stop(self, job_id: str) -> bool:
        """Ask to stop a job until that is answered; False when it had ended before."""
        answers: list[Answer] = []

        def is_answered() -> bool:
            try:
                answers[:] = [self._ask("POST", f"/api/v1/jobs/{job_id}/stop")]
            except OSError:
                return False
            return answers[0].status in {202, 409}

        until(is_answered, "a stop is answered", seconds=60)
        return answers[0].status == 202

    def count(self, name: str) -> int:
        """How many jobs of that name there are."""
        return int(self.site.query("SELECT count(*) FROM jobs_job WHERE name = %s", name)[0][0])

    def status(self, job_id: str) -> str:
        statement = "SELECT status FROM jobs_job WHERE id = %s"
        return str(self.site.query(statement, job_id)[0][0])

    def final(self, job_id: str, seconds: float) -> Final:
        """How it ended; after `seconds` whatever state it is in then."""
        deadline = time.monotonic() + seconds
        while self.status(job_id) not in _FINAL and time.monotonic() < deadline:
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

        until(is_sent, "a log is sent", seconds=20)
        return got[0] or b""

    def _ask(self, method: str, path: str, body: object = None, key: str = "") -> Answer:
        return self.site.ask(method, path, self._owner.token, body, key)


class Stop(threading.Thread):
    """Asks for a stop after `seconds`, whatever else happens then."""

    def __init__(self, stage: Stage, job_id: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self.was_taken = False
        self._stage, self._job_id, self._seconds = stage, job_id, seconds

    def run(self) -> None:
        time.sleep(self._seconds)
        self.was_taken = self._stage.stop(self._job_id)
