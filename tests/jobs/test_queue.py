"""Who gets which GPU: figures of the rules, and what must hold whatever happens."""

import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection as database
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.models import Job, Status
from jobs.queue import grant as queue_grant
from jobs.queue import policy as queue_policy
from jobs.queue.devices import Device, Noted, Rules, View, devices
from jobs.queue.gpu_history import History
from jobs.queue.policy import Asked, Machine, decide
from metrics.collectors.readings import Gpu, MigDevice, Process, Sample
from tests.jobs.rows import make_job, make_project
from tests.metrics.machines import make_gpu, make_sample

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GB = 10**9
INTERVAL = 2.0


def gpu(index: int = 0, **fields: object) -> Gpu:
    return make_gpu(index, **({"utilization_percent": 0.0, "memory_used_bytes": 0} | fields))


def process(index: int = 0, memory: int | None = 41 * GB, pid: int = 99, **fields: str) -> Process:
    values = {"name": "/usr/bin/python", "user": "ml", "container": None} | fields
    return Process(f"GPU-{index}", pid, values["name"], values["user"], values["container"], memory)


def sample(*gpus: Gpu, processes: tuple[Process, ...] = ()) -> Sample:
    return replace(make_sample(NOW), gpus=gpus or (gpu(),), processes=processes)


def history(*samples: Sample, **fields: frozenset[str]) -> list[Noted]:
    """The last samples, the newest now; ten before them were quiet."""
    quiet = [sample(*samples[0].gpus)] * 10 if samples else []
    every = [*quiet, *samples]
    return [Noted(INTERVAL * number, one, **fields) for number, one in enumerate(every)]


def look(
    noted: list[Noted], owners: dict[int, UUID | None] | None = None, rules: Rules | None = None
) -> list[Device]:
    found = devices(View(noted, owners or {}, noted[-1].at, INTERVAL, rules or Rules()))
    assert found is not None
    return found


def test_an_idle_gpu_is_free() -> None:
    assert [(d.key, d.use) for d in look(history(sample(gpu(0), gpu(1))))] == [
        ("0", None),
        ("1", None),
    ]


def test_says_who_uses_a_gpu() -> None:
    found = look(history(sample(gpu(0), gpu(1), processes=(process(1),))))
    assert [d.use for d in found] == [None, "GPU 1 is used by user ml: python, 41 GB"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"memory_used_bytes": 600 * 2**20}, "GPU 0 holds 629 MB of memory"),
        ({"utilization_percent": 7.0}, "GPU 0 is busy at 7 %"),
        ({"memory_used_bytes": 499 * 2**20, "utilization_percent": 4.9}, None),
        ({"memory_used_bytes": None, "utilization_percent": None}, None),
        # With unified memory only processes say what the GPU holds.
        ({"memory_used_bytes": 60 * GB, "memory_kind": "unified"}, None),
    ],
)
def test_thresholds(fields: dict[str, object], words: str | None) -> None:
    assert look([Noted(0.0, sample(gpu())), Noted(60.0, sample(gpu(0, **fields)))])[0].use == words


def test_small_foreign_processes_count_together() -> None:
    two = (process(memory=300 * 2**20, pid=1), process(memory=300 * 2**20, pid=2))
    assert look(history(sample(processes=two[:1])))[0].use is None
    assert "is used by" in str(look(history(sample(processes=two)))[0].use)


def test_a_process_of_unknown_size_is_a_use() -> None:
    assert look(history(sample(processes=(process(memory=None),))))[0].use == (
        "GPU 0 is used by user ml: python"
    )


def test_a_gpu_has_to_be_idle_for_a_while() -> None:
    noted = history(sample(processes=(process(),)), sample(), sample())
    assert look(noted)[0].use == "GPU 0 has been idle for 4 s and counts as free after 10 s"
    later = View(noted, {}, noted[-1].at + 6.0, INTERVAL, Rules())
    found = devices(later)
    assert found is not None
    assert found[0].use is None


def test_a_keeper_that_has_just_begun_to_look_waits() -> None:
    noted = [Noted(0.0, sample()), Noted(2.0, sample())]
    assert look(noted)[0].use == "GPU 0 has been idle for 2 s and counts as free after 10 s"


def test_our_own_jobs_are_no_foreign_use() -> None:
    mine = uuid.uuid4()
    noted = history(sample(processes=(process(),)), held=frozenset({"0"}))
    assert look(noted, {99: mine})[0].use is None
    assert look(history(sample(processes=(process(container=f"dgxsite-{mine}"),))))[0].use is None


def test_a_process_of_a_job_that_has_ended_is_a_foreign_use() -> None:
    """It got away from its supervisor: whoever comes next would share the GPU with it."""
    kept, job = History(), uuid.uuid4()
    kept.note(sample(processes=(process(),)))
    kept.learn_owners({99: job})
    rules = Rules(hold_seconds=0.0)
    kept.hold({}, [job])
    assert [d.use for d in kept.devices(rules) or ()] == [None]
    kept.hold({}, [])
    assert [d.use for d in kept.devices(rules) or ()] == ["GPU 0 is used by user ml: python, 41 GB"]


def test_what_a_job_leaves_behind_is_waited_for() -> None:
    busy = sample(gpu(0, utilization_percent=90.0, memory_used_bytes=70 * GB))
    noted = [
        *[Noted(INTERVAL * n, busy, held=frozenset({"0"})) for n in range(10)],
        Noted(20.0, busy, settling=frozenset({"0"})),
    ]
    assert look(noted)[0].use == "GPU 0 was just given back"
    assert look([*noted, Noted(22.0, sample())])[0].use is None
    assert look([*noted, Noted(22.0, busy)])[0].use == "GPU 0 holds 70 GB of memory"


def test_a_split_gpu_gives_its_slices() -> None:
    slices = (
        MigDevice(0, "MIG-a", "3g.40gb", 20 * GB, 40 * GB),
        MigDevice(1, "MIG-b", "3g.40gb", 0, 40 * GB),
    )
    found = look(history(sample(gpu(0, mig=slices, utilization_percent=None))))
    assert [(d.key, d.use) for d in found] == [
        ("0", "GPU 0 is split into MIG slices"),
        ("MIG-a", "MIG slice 0 of GPU 0 holds 20 GB of memory"),
        ("MIG-b", None),
    ]


def test_old_samples_say_nothing() -> None:
    noted = history(sample())
    assert devices(View(noted, {}, noted[-1].at + 7.0, INTERVAL)) is None
    assert devices(View([], {}, 0.0, INTERVAL)) is None


# --- Decisions -----------------------------------------------------------------------------------


def machine(count: int = 4, used: dict[str, str] | None = None, **fields: object) -> Machine:
    given = [Device(str(i), f"GPU {i}", (used or {}).get(str(i))) for i in range(count)]
    values: dict[str, object] = {"devices": given, "granted": {}, "running": {}} | fields
    return Machine(**values)  # type: ignore[arg-type]


def asked(gpus: queue_policy.Gpus = 1, **fields: object) -> Asked:
    return Asked(job_id=uuid.uuid4(), gpus=gpus, **fields)  # type: ignore[arg-type]


def granted(given: Machine, *jobs: Asked) -> list[tuple[str, ...] | None]:
    return [one.granted for one in decide(jobs, given, NOW)]


def reasons(given: Machine, *jobs: Asked) -> list[str]:
    return [one.waiting_reason for one in decide(jobs, given, NOW)]


def test_gives_gpus_in_order() -> None:
    assert granted(machine(4), asked(2), asked(1), asked(2)) == [("0", "1"), ("2",), None]


def test_nobody_overtakes_by_asking_for_less() -> None:
    given = machine(4, granted={"0": "a"})
    assert granted(given, asked(4), asked(1), asked(0)) == [None, None, ()]
    assert reasons(given, asked(4), asked(1)) == [
        "It needs 4 GPUs and 3 are free: GPU 0 is granted to the job “a”.",
        (
            "GPU 0 is granted to the job “a”; GPU 1 is kept for a job before it; "
            "GPU 2 is kept for a job before it; and 1 more."
        ),
    ]


def test_a_job_that_waits_for_one_gpu_keeps_only_that() -> None:
    given = machine(2, {"1": "GPU 1 is used by user ml: python, 41 GB"})
    assert granted(given, asked(("1",)), asked(1)) == [None, ("0",)]
    assert reasons(given, asked(("1",))) == ["GPU 1 is used by user ml: python, 41 GB."]


@pytest.mark.parametrize("gpus", [9, ("17",)])
def test_what_can_never_be_had_holds_nobody_up(gpus: queue_policy.Gpus) -> None:
    assert granted(machine(4), asked(gpus), asked(4)) == [None, ("0", "1", "2", "3")]
    assert "This machine has no GPU 17." in reasons(machine(4), asked(("17",)))


def test_who_does_not_wait_takes_used_gpus_but_never_granted_ones() -> None:
    given = machine(3, {"0": "GPU 0 is used"}, granted={"2": "a"})
    assert granted(given, asked(2, wait_for_gpu=False)) == [("1", "0")]
    assert granted(given, asked(3, wait_for_gpu=False)) == [None]


@pytest.mark.parametrize(
    ("job", "given", "words"),
    [
        (asked(0), machine(is_paused=True), "The queue of this machine is paused."),
        (
            asked(0, not_before=NOW + timedelta(hours=1)),
            machine(),
            "It starts at 2026-11-20 13:00:00 UTC.",
        ),
        (asked(0, blocked="It comes after x."), machine(), "It comes after x."),
        (
            asked(0, person=1),
            machine(running={1: 2}, per_person=2),
            "One person runs at most 2 jobs at once here.",
        ),
        (asked(1), machine(devices=None), "The GPUs of this machine have not been read yet."),
        (asked(9), machine(4), "It asks for 9 GPUs; this machine has 4."),
    ],
)
def test_says_in_words_why_a_job_waits(job: Asked, given: Machine, words: str) -> None:
    assert reasons(given, job) == [words]


def test_a_limit_per_person_counts_what_starts_now() -> None:
    jobs = [asked(0, person=1), asked(0, person=1), asked(0, person=2)]
    assert granted(machine(per_person=1), *jobs) == [(), None, ()]


def test_slices_are_given_where_there_is_nothing_else() -> None:
    split = Device("0", "GPU 0", "GPU 0 is split into MIG slices", is_split=True)
    parts = [Device(f"MIG-{n}", f"slice {n}", None, is_slice=True) for n in "ab"]
    given = machine(devices=[split, *parts])
    assert granted(given, asked(1), asked(("MIG-b",))) == [("MIG-a",), ("MIG-b",)]
    assert granted(given, asked(("0",))) == [None]
    whole = machine(devices=[split, *parts, Device("1", "GPU 1", None)])
    assert granted(whole, asked(1)) == [("1",)]


# --- What always holds ---------------------------------------------------------------------------


@dataclass
class Site:
    """Eight GPUs over simulated time: our jobs, and others who come and go."""

    waiting: list[Asked]
    noted: list[Noted] = field(default_factory=list)
    held: dict[str, UUID] = field(default_factory=dict)
    ends: dict[UUID, int] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    started: list[UUID] = field(default_factory=list)

    def step(self, number: int, foreign: set[int], durations: dict[UUID, int]) -> None:
        now = number * INTERVAL
        for job_id in [one for one, end in self.ends.items() if end <= number]:
            del self.ends[job_id]
            for key in [key for key, holder in self.held.items() if holder == job_id]:
                del self.held[key]
                self.left[key] = now
        self.noted = [*self.noted[-10:], self._noted(now, foreign)]
        self._decide(now, number, foreign, durations)

    def _noted(self, now: float, foreign: set[int]) -> Noted:
        busy = foreign | {int(key) for key in self.held}
        gpus = [gpu(i, memory_used_bytes=20 * GB if i in busy else 0) for i in range(8)]
        ours = [process(int(key), pid=1000 + int(key)) for key in self.held]
        others = [process(i, pid=i) for i in foreign]
        settling = frozenset(key for key, at in self.left.items() if now - at < 5.0)
        seen = sample(*gpus, processes=(*ours, *others))
        return Noted(now, seen, frozenset(self.held), settling)

    def _decide(
        self, now: float, number: int, foreign: set[int], durations: dict[UUID, int]
    ) -> None:
        owners: dict[int, UUID | None] = {1000 + int(k): job for k, job in self.held.items()}
        found = devices(View(self.noted, owners, now, INTERVAL, Rules()))
        names = {key: str(holder) for key, holder in self.held.items()}
        given = Machine(devices=found, granted=names, running={})
        for one in decide(self.waiting, given, NOW):
            if one.granted is None:
                assert one.waiting_reason
                continue
            for key in one.granted:
                assert key not in self.held, "granted twice"
                assert int(key) not in foreign, "granted while used by others"
                self.held[key] = one.job_id
                self.left.pop(key, None)
            self.ends[one.job_id] = number + durations[one.job_id]
            self.started.append(one.job_id)
        self.waiting = [job for job in self.waiting if job.job_id not in self.ends]


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_fifty_jobs_on_eight_gpus(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 8), min_size=50, max_size=50))
    jobs = [asked(size) for size in sizes]
    durations = {job.job_id: data.draw(st.integers(1, 6)) for job in jobs}
    changes = data.draw(st.lists(st.sets(st.integers(0, 7), max_size=4), min_size=20, max_size=20))
    site = Site(list(jobs))
    for number in range(700):
        # Others leave the GPUs that we hold alone: they were there first or they are not there.
        wanted = changes[number // 5] if number < 100 else set()
        site.step(number, {i for i in wanted if str(i) not in site.held}, durations)
        if not site.waiting and not site.ends:
            break
    assert site.started == [job.job_id for job in jobs], "all ran, in their order"


@pytest.mark.django_db(transaction=True)
def test_two_keepers_at_once_grant_no_gpu_twice() -> None:
    project = make_project()
    for _ in range(12):
        make_job(project, gpus=1)
    free = [Device(str(i), f"GPU {i}", None) for i in range(8)]
    started: list[Job] = []
    barrier = threading.Barrier(4)

    def grant() -> None:
        barrier.wait()
        for _ in range(3):
            started.extend(queue_grant.grant(project.connection_id, 0, lambda rules: free))
        database.close()

    threads = [threading.Thread(target=grant) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = Job.objects.filter(status=Status.STARTING)
    assert sorted(key for row in rows for key in row.granted or ()) == list("01234567")
    assert all(row.changes.filter(to_status="starting").count() == 1 for row in rows)


@pytest.mark.django_db
def test_the_queue_goes_by_priority_then_age() -> None:
    project = make_project()
    late, urgent = make_job(project, gpus=1), make_job(project, gpus=1, priority=5)
    queue_grant.grant(project.connection_id, 0, lambda rules: [Device("0", "GPU 0", None)])
    late.refresh_from_db()
    urgent.refresh_from_db()
    assert (late.status, urgent.status) == (Status.QUEUED, Status.STARTING)
    assert late.waiting_reason == "GPU 0 is granted to a job before it."
