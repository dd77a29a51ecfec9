"""Who may start now, with which GPUs, and why the others wait. Pure.

Jobs are taken by priority, then by age. What a waiting job could use is kept for it: nobody behind
it overtakes by asking for less, so a large job is never starved by small ones. A job that waits for
something else than a GPU – its time, another job, a limit per person – keeps nothing back, and a
job that asks for no GPU waits for none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from jobs.queue.devices import Device

_NAMED = 3

Gpus = int | tuple[str, ...]


class Asked(NamedTuple):
    """A job in the queue. `gpus`: a count, or the keys of devices; `blocked` says what it waits
    for beside GPUs.
    """

    job_id: UUID
    gpus: Gpus = 0
    wait_for_gpu: bool = True
    person: int | None = None
    not_before: datetime | None = None
    blocked: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What is there to give. `granted`: key → name of the job that holds it; `devices` is None
    while the GPUs have not been read; `running` counts the jobs of each person.
    """

    devices: Sequence[Device] | None
    granted: Mapping[str, str]
    running: Mapping[int, int]
    is_paused: bool = False
    per_person: int | None = None


class Decision(NamedTuple):
    """`granted` None: it waits, for the reason in words."""

    job_id: UUID
    granted: tuple[str, ...] | None
    waiting_reason: str = ""


def decide(asked: Sequence[Asked], machine: Machine, now: datetime) -> list[Decision]:
    """One decision for each job, which come in the queue's order."""
    return _Round(machine, now).decide(asked)


class _Round:
    def __init__(self, machine: Machine, now: datetime) -> None:
        self._machine = machine
        self._now = now
        self._running = Counter(machine.running)
        # What those before have been given, or wait for.
        self._gone: dict[str, str] = {
            key: f"is granted to the job “{name}”" for key, name in machine.granted.items()
        }
        # Why jobs that ask for the same wait, as long as nothing more is gone: of a long queue
        # most do.
        self._known: dict[tuple[Gpus, bool], str] = {}
        self._known_at = 0

    def decide(self, asked: Sequence[Asked]) -> list[Decision]:
        return [self._one(job) for job in asked]

    def _one(self, job: Asked) -> Decision:
        if reason := self._other_reason(job):
            return Decision(job.job_id, None, reason)
        kind = (job.gpus, job.wait_for_gpu)
        if kind in self._known:
            return Decision(job.job_id, None, self._known[kind])
        wanted, reason = self._choose(job)
        if wanted is None:
            self._keep(job)
            self._note(kind, reason)
            return Decision(job.job_id, None, reason)
        for key in wanted:
            self._gone[key] = "is granted to a job before it"
        self._note(None, "")
        if job.person is not None:
            self._running[job.person] += 1
        return Decision(job.job_id, wanted)

    def _note(self, kind: tuple[Gpus, bool] | None, reason: str) -> None:
        """Remember a reason, unless more is gone since it was found: then all are found anew."""
        if len(self._gone) != self._known_at:
            self._known, self._known_at = {}, len(self._gone)
        elif kind is not None:
            self._known[kind] = reason

    def _other_reason(self, job: Asked) -> str | None:
        """What it waits for that is no GPU."""
        if self._machine.is_paused:
            return "The queue of this machine is paused."
        if job.not_before is not None and job.not_before > self._now:
            return f"It starts at {job.not_before:%Y-%m-%d %H:%M:%S} UTC."
        if job.blocked:
            return job.blocked
        limit = self._machine.per_person
        if limit is not None and job.person is not None and self._running[job.person] >= limit:
            jobs = "job" if limit == 1 else "jobs"
            return f"One person runs at most {limit} {jobs} at once here."
        return None

    def _choose(self, job: Asked) -> tuple[tuple[str, ...] | None, str]:
        """The devices it gets, or None and why not."""
        if job.gpus in (0, ()):
            return (), ""
        if self._machine.devices is None:
            return None, "The GPUs of this machine have not been read yet."
        if isinstance(job.gpus, int):
            return self._choose_any(job, job.gpus)
        return self._choose_named(job, job.gpus)

    def _choose_any(self, job: Asked, count: int) -> tuple[tuple[str, ...] | None, str]:
        pool = self._pool()
        if count > len(pool):
            return None, self._too_many(count, len(pool))
        free = [device for device in pool if self._obstacle(device, job) is None]
        # Who does not wait still takes what is idle before what is used by others.
        free.sort(key=lambda device: device.use is not None)
        if len(free) >= count:
            return tuple(device.key for device in free[:count]), ""
        found = [words for device in pool if (words := self._obstacle(device, job))]
        return None, _shortage(count, len(free)) + _listed(found)

    def _too_many(self, count: int, there: int) -> str:
        is_split = any(device.is_split for device in self._machine.devices or ())
        besides = " that are not split" if is_split and not self._pool()[0].is_slice else ""
        return f"It asks for {count} GPUs; this machine has {there}{besides}."

    def _choose_named(
        self, job: Asked, keys: tuple[str, ...]
    ) -> tuple[tuple[str, ...] | None, str]:
        known = {device.key: device for device in self._machine.devices or ()}
        missing = [key for key in keys if key not in known]
        if missing:
            return None, f"This machine has no GPU {', '.join(missing)}."
        split = [known[key].label for key in keys if known[key].is_split]
        if split:
            return None, f"{split[0]} is split into MIG slices; ask for a slice by its UUID."
        found = [words for key in keys if (words := self._obstacle(known[key], job))]
        return (None, _listed(found)) if found else (keys, "")

    def _pool(self) -> list[Device]:
        """What a count may be served from: whole GPUs, or slices where there is nothing else."""
        devices = self._machine.devices or ()
        whole = [device for device in devices if not device.is_slice and not device.is_split]
        return whole or [device for device in devices if device.is_slice]

    def _obstacle(self, device: Device, job: Asked) -> str | None:
        if device.key in self._gone:
            return f"{device.label} {self._gone[device.key]}"
        return device.use if job.wait_for_gpu else None

    def _keep(self, job: Asked) -> None:
        """Nobody behind this job gets what it waits for, unless it can never have it."""
        pool = {device.key for device in self._pool()}
        if isinstance(job.gpus, int):
            wanted = pool if job.gpus <= len(pool) else set()
        else:
            known = {d.key for d in self._machine.devices or () if not d.is_split}
            wanted = set(job.gpus) if known.issuperset(job.gpus) else set()
        for key in wanted:
            self._gone.setdefault(key, "is kept for a job before it")


def _shortage(count: int, free: int) -> str:
    if count == 1:
        return ""
    are_free = "none is" if free == 0 else "1 is" if free == 1 else f"{free} are"
    return f"It needs {count} GPUs and {are_free} free: "


def _listed(words: Sequence[str]) -> str:
    text = "; ".join(words[:_NAMED])
    more = len(words) - _NAMED
    return f"{text}; and {more} more." if more > 0 else f"{text}."
