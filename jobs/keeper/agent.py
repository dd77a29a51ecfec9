"""The keeper's part in jobs: a thread for each machine that has some, none for the others.

`attach` hears of every session, `note` of every sample; one thread looks which machines have jobs
and gives each a thread of its own, because talking to one machine must never wait for another. A
thread ends with its session, with its machine's last job, or when another keeper has the machine.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db import connection as database

from connections import ssh
from connections.keeper import leases
from connections.keeper.link import Link
from connections.models import Transport
from core.background import isolation
from core.background.threads import Loop
from jobs.keeper import unreachable
from jobs.keeper.reconciler import Reconciler
from jobs.log.store import Overtaken
from jobs.models import ACTIVE, Job, Status
from jobs.queue.devices import Device, Rules
from jobs.queue.gpu_history import History
from jobs.remote.protocol import Unreadable
from metrics.collectors.readings import Sample

logger = logging.getLogger(__name__)

# Rounds without a job before a thread ends; until then it hears a wake at once.
IDLE_ROUNDS = 5
TROUBLE_SECONDS = 2.0
# A few starts on a machine that answers slowly (`jobs.remote.client`), and the pause after.
LONGEST_ROUND_SECONDS = 240.0


class MachineWorker(threading.Thread):
    """Looks after one machine until there is nothing more to do."""

    def __init__(self, link: Link, history: History) -> None:
        super().__init__(name="jobs", daemon=True)
        self.link = link
        self.woken = threading.Event()
        self.is_retired = False  # another worker has taken over
        self._round_began = time.monotonic()
        self._reconciler = Reconciler(link, history)

    def run(self) -> None:
        idle = 0
        while not self._is_over and idle < IDLE_ROUNDS:
            self.woken.clear()
            self._round_began = time.monotonic()
            pause = self._round()
            if pause is None:
                return
            idle = idle + 1 if pause < 0 else 0
            self.woken.wait(abs(pause))

    @property
    def hangs(self) -> bool:
        """Whether its round takes longer than the deadlines of everything in it."""
        return time.monotonic() - self._round_began > LONGEST_ROUND_SECONDS

    @property
    def _is_over(self) -> bool:
        return self.is_retired or self.link.closed.is_set()

    def _round(self) -> float | None:
        """Seconds until the next round, negative when there was no job; None at the end."""
        try:
            pause = self._reconciler.reconcile()
        except leases.LeaseLost:
            return None
        except ssh.SessionLost as error:
            logger.info("%s: jobs wait for the next session: %s", self.link, error)
            return None
        except (ssh.CommandTimeout, Unreadable, Overtaken) as error:
            logger.warning("%s: jobs could not be looked after: %s", self.link, error)
            return TROUBLE_SECONDS * settings.TIME_SCALE
        except Exception as error:
            if isolation.is_down(error):
                logger.warning("%s: the database does not answer: %s", self.link, error)
            else:
                logger.exception("%s: looking after jobs failed", self.link)
            return TROUBLE_SECONDS * settings.TIME_SCALE
        finally:
            database.close()
        return -settings.JOBS_IDLE_SECONDS if pause is None else pause


@dataclass(slots=True)
class _Place:
    """What is kept of one session; it goes with it."""

    history: History = field(default_factory=History)
    worker: MachineWorker | None = None
    is_attached: bool = False


class JobAgent:
    """All machines of this keeper.

    Everything is kept by session and not by machine: two log-ins may overlap, and what the older
    one does late must not touch what belongs to the newer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[Link, _Place] = {}
        self._woken = threading.Event()
        self._thread: Loop | None = None

    def attach(self, link: Link) -> None:
        """A session was opened: its machine's jobs are looked after from now on."""
        if link.transport != Transport.SSH:
            return  # jobs are refused for the site's own machine
        with self._lock:
            self._places.setdefault(link, _Place()).is_attached = True
            if self._thread is None:
                self._thread = Loop("jobs-look", "looking after the jobs", self._loop)
                self._thread.start()
        self._woken.set()

    def note(self, link: Link, sample: Sample) -> None:
        """Keep a sample for the machine's queue; called on the reading thread."""
        if link.closed.is_set() or link.transport != Transport.SSH:
            return
        place = self._places.get(link)
        if place is None:
            with self._lock:
                place = self._places.setdefault(link, _Place())
        place.history.note(sample)

    def peak_of(self, connection_id: UUID, job_id: UUID) -> int | None:
        """The most GPU memory of a job's own processes, as far as this keeper saw it."""
        history = self._history_of(connection_id)
        return None if history is None else history.peak(job_id)

    def devices_of(self, connection_id: UUID, rules: Rules) -> Sequence[Device] | None:
        """Which of a machine's GPUs are free; None while no fresh sample was seen."""
        history = self._history_of(connection_id)
        return None if history is None else history.devices(rules)

    def wake(self) -> None:
        """Look now."""
        with self._lock:
            workers = [place.worker for place in self._places.values()]
        for worker in workers:
            if worker is not None:
                worker.woken.set()
        self._woken.set()

    def _history_of(self, connection_id: UUID) -> History | None:
        with self._lock:
            return next(
                (
                    place.history
                    for link, place in self._places.items()
                    if link.connection_id == connection_id and not link.closed.is_set()
                ),
                None,
            )

    def _loop(self) -> None:
        while self._has_links():
            self._woken.wait(settings.JOBS_SECONDS)
            self._woken.clear()
            try:
                self._look()
            except Exception as error:
                if isolation.is_down(error):
                    logger.warning("jobs: the database does not answer: %s", error)
                else:
                    logger.exception("jobs: a look failed")
                time.sleep(TROUBLE_SECONDS * settings.TIME_SCALE)
            finally:
                database.close()

    def _has_links(self) -> bool:
        """False, and the thread ends, when there is no session left; the next one starts it."""
        with self._lock:
            if not self._places:
                self._thread = None
            return bool(self._places)

    def _look(self) -> None:
        """Give every machine that has jobs a worker."""
        links = self._living_links()
        ids = {link.connection_id for link in links}
        wanting = Job.objects.filter(connection_id__in=ids, status__in=[*ACTIVE, Status.QUEUED])
        wanted = set(wanting.order_by().values_list("connection_id", flat=True).distinct())
        forgotten = unreachable.forgotten(ids)
        isolation.each(
            [link for link in links if link.connection_id in wanted],
            lambda link: self._give_hand(link, forgotten.get(link.connection_id)),
            name="giving a worker to",
        )

    def _living_links(self) -> list[Link]:
        with self._lock:
            for link in [link for link in self._places if link.closed.is_set()]:
                del self._places[link]
            return [link for link, place in self._places.items() if place.is_attached]

    def _give_hand(self, link: Link, forgotten: UUID | None) -> None:
        """A living worker goes on; `forgotten` is a job that waits although it should not."""
        with self._lock:
            place = self._places.get(link)
            if place is None or not _is_needed(place.worker, link, forgotten):
                return
            place.worker = MachineWorker(link, place.history)
            place.worker.start()


def _is_needed(worker: MachineWorker | None, link: Link, forgotten: UUID | None) -> bool:
    """Whether a machine needs a new worker; says so in the log where it should have had one."""
    is_alive = worker is not None and worker.is_alive()
    if forgotten is None or (worker is not None and is_alive and not worker.hangs):
        return not is_alive
    logger.error(
        "%s: job=%s waits without a reason: the agent of its machine %s; it is started again",
        link,
        forgotten,
        "hangs" if is_alive else "does not run",
    )
    if worker is not None:
        worker.is_retired = True
    return True


job_agent = JobAgent()
