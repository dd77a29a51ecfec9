"""What a machine, an engine, a job or a receiver says is written, clean and short, at every border.

Each border is given texts that a database, a page or a terminal cannot hold; the row is written and
what it says can be shown anywhere.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.utils import timezone

from accounts import audit
from accounts.audit import denials
from accounts.models import AuditEvent, Refusal
from connections import ssh
from connections.files.browse import Refused
from connections.files.folders import NoFolder, NotReached
from connections.files.upload import NotStored
from connections.keeper.write_state import State, write_state
from connections.models import Connection, ConnectionEvent, Status
from exports import writer
from exports.models import Export
from jobs import lifecycle as jobs_lifecycle
from jobs.models import Job, JobChange, Reason
from jobs.models import Status as JobStatus
from jobs.remote import client as remote_client
from jobs.remote import protocol as remote_protocol
from jobs.remote.verdict import Verdict
from metrics.collectors.readings import Process
from metrics.history.buffer import Unsaved
from metrics.history.window import reading_of
from metrics.live import ingest as live_ingest
from metrics.live.persist import persist
from metrics.models import GpuIdentity
from notifications.channels.outcome import Outcome
from notifications.delivery import sender
from notifications.events import notify
from notifications.models import Attempt, Delivery, Event
from tests import factories
from tests.faults.loops import three_exports
from tests.jobs.rows import make_job
from tests.metrics.machines import (
    MOMENT,
    held_machine,
    holdings_of,
    make_gpu,
    make_keeper,
    make_sample,
)
from tests.notifications.conftest import make_channel
from usage.notes import note_of

pytestmark = pytest.mark.django_db

NONSENSE = {
    "NUL": "no\0such",
    "half a pair": "no \ud83d such",
    "a terminal's escapes": "\x1b]0;owned\x07\x1b[2J\x9b31m",
    "lines": "one\r\ntwo\u2028three\x85four",
    "turned around": "\u202eno such\u2066",
    "a megabyte": "x" * 2**20,
    "a megabyte of NUL": "\0" * 2**20,
}

Border = Callable[[str], list[str]]


def states(said: str) -> list[str]:
    keeper = make_keeper()
    row = held_machine(keeper)
    state = State(Status.ERROR, "auth_failed", said, offered_host_key=said)
    write_state(keeper.pk, row.pk, 1, state)
    row = Connection.objects.get(pk=row.pk)
    event = ConnectionEvent.objects.get(connection=row)
    [told] = Event.objects.filter(kind="auth_failed")
    return [row.detail, row.offered_host_key, event.detail, told.title]


def connect_errors(said: str) -> list[str]:
    error = ssh.ConnectError("auth_failed", said, said, said)
    return [error.detail, error.offered_host_key, error.host_key_type, str(error)]


def folders_and_files(said: str) -> list[str]:
    return [kind(said).detail for kind in (NoFolder, NotReached, NotStored, Refused)]


def shells(said: str) -> list[str]:
    return [live_ingest._why_unusable(1, said.encode("utf-8", "surrogatepass"))]


def jobs_refusals(said: str) -> list[str]:
    heard = said.encode("utf-8", "surrogatepass")
    with pytest.raises(remote_protocol.Unreadable) as caught:
        remote_protocol.parse(heard, "0" * 32)
    return [remote_client._last_line(heard), str(caught.value)]


def jobs_ends(said: str) -> list[str]:
    job = make_job()
    job.move(JobStatus.STARTING, "test", detail=said)
    jobs_lifecycle.finish(
        job, Verdict(JobStatus.FAILED, Reason.START_REFUSED, said), timezone.now()
    )
    row = Job.objects.get(pk=job.pk)
    return [row.detail, *JobChange.objects.filter(job=job).values_list("why", flat=True)]


def samples(said: str) -> list[str]:
    keeper = make_keeper()
    machine = held_machine(keeper)
    windows = Unsaved()
    gpu = make_gpu(name=said, uuid=said)
    windows.add(machine.pk, reading_of(replace(make_sample(MOMENT), gpus=(gpu,))))
    later = MOMENT.replace(minute=5)
    assert persist(keeper.pk, holdings_of(machine), later, windows=windows) > 0
    row = GpuIdentity.objects.get()
    return [row.name, row.uuid]


def owners(said: str) -> list[str]:
    sample = make_sample(MOMENT, processes=(Process("GPU-0", 1, said, said, said, 1),))
    [gpu] = note_of(sample).gpus
    return [text for owner in gpu.holders for text in (owner.user, owner.container) if text]


def exports(said: str) -> list[str]:
    export = three_exports()[0]
    writer._finish(export, {"local": said})
    return [Export.objects.get(pk=export.pk).local_error]


def receivers(said: str) -> list[str]:
    channel = make_channel(factories.make_team(), "https://hook.example.org/")
    notify(channel.team, "unreachable", said, "body", data={said[:50]: [said, {"a": said}]})
    row = Delivery.objects.get(channel=channel)
    sender.record(row, Outcome.refused(said), duration_ms=1)
    row.refresh_from_db()
    event = row.event
    event.refresh_from_db()
    [(name, (first, inner))] = event.data.items()
    return [
        row.detail,
        Attempt.objects.get(delivery=row).detail,
        event.title,
        name,
        first,
        inner["a"],
    ]


def audits(said: str) -> list[str]:
    audit.record(None, "test", accepted=said, fields=[said])
    detail = AuditEvent.objects.get(action="test").detail
    denials.note("access.refused", user=None, address=None, route=said)
    return [detail["accepted"], *detail["fields"], Refusal.objects.get().first["route"]]


BORDERS: dict[str, Border] = {
    one.__name__: one
    for one in (
        states,
        connect_errors,
        folders_and_files,
        shells,
        jobs_refusals,
        jobs_ends,
        samples,
        owners,
        exports,
        receivers,
        audits,
    )
}


@pytest.mark.parametrize("border", BORDERS.values(), ids=BORDERS)
@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_what_is_said_is_written_clean(border: Border, said: str) -> None:
    for text in border(said):
        assert len(text) <= 5000
        assert all(c.isprintable() or c.isspace() for c in text)
        assert not set(text) & set("\0\r\n\x1b\x85\u2028")
        text.encode("utf-8")


def test_several_lines_stay_lines_in_the_body_of_a_notification() -> None:
    event = notify(factories.make_team(), "unreachable", "t", "one\r\ntwo\0\nthree")
    assert event is not None
    assert event.body == "one\ntwo \nthree"
