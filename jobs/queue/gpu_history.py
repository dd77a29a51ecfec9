"""What a keeper has lately seen of one machine's GPUs, for the machine's queue.

Samples are noted on the thread that reads them; the thread that looks after the jobs tells which
GPUs they hold, and which process belongs to a job. Nothing of it outlives the keeper: its successor
watches for as long as the queue's hold time before it calls a GPU free.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from django.conf import settings

from jobs.queue.devices import CONTAINER_PREFIX, Device, Noted, Rules, View, devices
from metrics.collectors.readings import Sample

# Long enough for a hold time of five minutes.
MOST_SAMPLES = 200
# Processes in all of them: a machine that shows thousands is remembered for a shorter time.
MOST_PROCESSES = 20_000
# After a job's end samples may still show it: a frame under way, and processes of the one before.
SETTLING_INTERVALS = 2.5


class History:
    """The newest samples of one machine, and what our jobs have to do with them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: deque[Noted] = deque(maxlen=MOST_SAMPLES)
        self._held: dict[str, UUID] = {}
        self._active: set[UUID] = set()
        self._left: dict[str, float] = {}
        self._owners: dict[int, UUID | None] = {}
        self._peaks: dict[UUID, int] = {}

    def note(self, sample: Sample) -> None:
        """Keep a sample that has just come; cheap."""
        now = time.monotonic()
        settling = SETTLING_INTERVALS * settings.SAMPLE_SECONDS
        with self._lock:
            left = frozenset(key for key, at in self._left.items() if now - at < settling)
            # Neither interfaces nor disks have to do with a free GPU.
            kept = replace(sample, networks=(), disks=(), health=())
            self._noted.append(Noted(now, kept, frozenset(self._held), left))
            self._forget_beyond_room()
            pids = {process.pid for process in sample.processes}
            self._owners = {pid: job for pid, job in self._owners.items() if pid in pids}
            self._note_peaks(sample)

    def _forget_beyond_room(self) -> None:
        room = MOST_PROCESSES - sum(len(noted.sample.processes) for noted in self._noted)
        while room < 0 and len(self._noted) > 1:
            room += len(self._noted.popleft().sample.processes)

    def hold(self, held: Mapping[str, UUID], active: Collection[UUID] = ()) -> None:
        """Say which devices our jobs hold now, and which jobs are there at all."""
        with self._lock:
            now = time.monotonic()
            self._left |= dict.fromkeys(self._held.keys() - held.keys(), now)
            self._left = {key: at for key, at in self._left.items() if key not in held}
            self._held = dict(held)
            self._active = {*active, *held.values()}

    def unknown_pids(self) -> list[int]:
        """Processes of the newest sample of which nobody has said whose they are."""
        with self._lock:
            if not self._noted:
                return []
            processes = self._noted[-1].sample.processes
            return sorted({p.pid for p in processes} - self._owners.keys())[:200]

    def learn_owners(self, owners: Mapping[int, UUID | None]) -> None:
        with self._lock:
            self._owners |= owners
            if self._noted:
                self._note_peaks(self._noted[-1].sample)

    def peak(self, job_id: UUID) -> int | None:
        """The most bytes of GPU memory that a job's own processes held since this keeper looks.

        None while none of them was seen, or the machine does not tell how much they hold.
        """
        with self._lock:
            return self._peaks.get(job_id)

    def _note_peaks(self, sample: Sample) -> None:
        sums: dict[UUID, int] = {}
        for process in sample.processes:
            job = _job_of_container(process.container) or self._owners.get(process.pid)
            if job is not None and process.memory_used_bytes is not None:
                sums[job] = sums.get(job, 0) + process.memory_used_bytes
        for job, total in sums.items():
            self._peaks[job] = max(total, self._peaks.get(job, 0))

    def devices(self, rules: Rules) -> Sequence[Device] | None:
        """Which devices are free now; None while none has been seen."""
        with self._lock:
            noted = list(self._noted)
            owners = dict(self._owners)
            if noted and not noted[-1].settling:
                # What a job leaves behind at its end is somebody else's use from then on.
                owners |= {pid: None for pid, job in owners.items() if job not in self._active}
        now = time.monotonic()
        return devices(View(noted, owners, now, settings.SAMPLE_SECONDS, rules))


def _job_of_container(name: str | None) -> UUID | None:
    """Whose container it is, by the name that the site gave it."""
    try:
        return UUID((name or "").removeprefix(CONTAINER_PREFIX))
    except ValueError:
        return None
