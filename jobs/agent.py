"""The keeper's part in jobs: a thread for each machine that has some, none for the others.

`attach` hears of every session, `note` of every sample; one thread looks which machines have jobs
and gives each a thread of its own, because talking to one machine must never wait for another. A
thread ends with its session, with its machine's last job, or when another keeper has the machine.
"""

import logging
import threading
import time
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection as database

from connections import ssh
from connections.link import Link
from connections.models import Transport
from dgxsite.loops import Loop
from jobs import fencing
from jobs.devices import Device, Rules
from jobs.history import History
from jobs.logs import Overtaken
from jobs.models import Job
from jobs.remote import Unreadable
from jobs.states import ACTIVE, Status
from jobs.tending import Tender
from metrics.collectors.readings import Sample

logger = logging.getLogger(__name__)

# Rounds without a job before a thread ends; until then it hears a wake at once.
IDLE_ROUNDS = 5
TROUBLE_SECONDS = 2.0


class Hand(threading.Thread):
    """Looks after one machine until there is nothing more to do."""

    def __init__(self, link: Link, history: History) -> None:
        super().__init__(name="jobs", daemon=True)
        self.link = link
        self.woken = threading.Event()
        self._tender = Tender(link, history)

    def run(self) -> None:
        idle = 0
        while not self.link.closed.is_set() and idle < IDLE_ROUNDS:
            self.woken.clear()
            pause = self._round()
            if pause is None:
                return
            idle = idle + 1 if pause < 0 else 0
            self.woken.wait(abs(pause))

    def _round(self) -> float | None:
        """Seconds until the next round, negative when there was no job; None at the end."""
        try:
            pause = self._tender.round()
        except fencing.LeaseLost:
            return None
        except ssh.SessionLost as error:
            logger.info("%s: jobs wait for the next session: %s", self.link, error)
            return None
        except (ssh.CommandTimeout, Unreadable, Overtaken, DatabaseError) as error:
            logger.warning("%s: jobs could not be looked after: %s", self.link, error)
            return TROUBLE_SECONDS * settings.TIME_SCALE
        except Exception:
            logger.exception("%s: looking after jobs failed", self.link)
            return TROUBLE_SECONDS * settings.TIME_SCALE
        finally:
            database.close()
        return -settings.JOBS_IDLE_SECONDS if pause is None else pause


class Crew:
    """All machines of this keeper."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[UUID, Link] = {}
        self._histories: dict[UUID, History] = {}
        self._hands: dict[UUID, Hand] = {}
        self._woken = threading.Event()
        self._thread: Loop | None = None

    def attach(self, link: Link) -> None:
        """A session was opened: its machine's jobs are looked after from now on."""
        if link.transport != Transport.SSH:
            return  # jobs are refused for the site's own machine
        with self._lock:
            self._links[link.connection_id] = link
            if self._thread is None:
                self._thread = Loop("jobs-look", "looking after the jobs", self._loop)
                self._thread.start()
        self._woken.set()

    def note(self, link: Link, sample: Sample) -> None:
        """Keep a sample for the machine's queue; called on the reading thread."""
        history = self._histories.get(link.connection_id)
        if history is None:
            history = self._histories.setdefault(link.connection_id, History())
        history.note(sample)

    def peak_of(self, connection_id: UUID, job_id: UUID) -> int | None:
        """The most GPU memory of a job's own processes, as far as this keeper saw it."""
        history = self._histories.get(connection_id)
        return None if history is None else history.peak(job_id)

    def devices_of(self, connection_id: UUID, rules: Rules) -> Sequence[Device] | None:
        """Which of a machine's GPUs are free; None while no fresh sample was seen."""
        history = self._histories.get(connection_id)
        return None if history is None else history.devices(rules)

    def wake(self) -> None:
        """Look now."""
        for hand in list(self._hands.values()):
            hand.woken.set()
        self._woken.set()

    def _loop(self) -> None:
        while self._has_links():
            self._woken.wait(settings.JOBS_SECONDS)
            self._woken.clear()
            try:
                self._look()
            except DatabaseError as error:
                logger.warning("jobs: the database does not answer: %s", error)
                time.sleep(TROUBLE_SECONDS * settings.TIME_SCALE)
            except Exception:
                logger.exception("jobs: a look failed")
            finally:
                database.close()

    def _has_links(self) -> bool:
        """False, and the thread ends, when there is no session left; the next one starts it."""
        with self._lock:
            if not self._links:
                self._thread = None
            return bool(self._links)

    def _look(self) -> None:
        """Give every machine that has jobs a hand."""
        links = self._living_links()
        wanting = Job.objects.filter(
            connection_id__in=list(links), status__in=[*ACTIVE, Status.QUEUED]
        )
        for connection_id in set(wanting.values_list("connection_id", flat=True)):
            self._give_hand(links[connection_id])

    def _living_links(self) -> dict[UUID, Link]:
        with self._lock:
            gone = [id for id, link in self._links.items() if link.closed.is_set()]
            for connection_id in gone:
                del self._links[connection_id]
                self._histories.pop(connection_id, None)
                self._hands.pop(connection_id, None)
            return dict(self._links)

    def _give_hand(self, link: Link) -> None:
        hand = self._hands.get(link.connection_id)
        if hand is not None and hand.link is link and hand.is_alive():
            return
        history = self._histories.setdefault(link.connection_id, History())
        hand = self._hands[link.connection_id] = Hand(link, history)
        hand.start()


crew = Crew()
