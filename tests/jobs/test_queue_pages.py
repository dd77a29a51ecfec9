"""The queue of a machine and the wish to be told of a free GPU, as forms without JavaScript."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Role
from connections.models import Connection
from jobs.models import GpuWish, MachineQueue, Status
from metrics.collectors.readings import Gpu, Sample
from metrics.live.store import Recorder
from tests import factories
from tests.jobs.rows import make_job, make_project
from tests.markup import flat
from tests.pages.people import People, client_of, make_people

RULES = {"per_person": "", "idle_percent": "7.5", "idle_mib": "600", "hold_seconds": "20"}


@pytest.fixture
def people(db: None, redis_client: object) -> People:
    return make_people()


@pytest.fixture
def machine(people: People) -> Connection:
    return factories.make_connection(people.team, name="Spark 1")


@pytest.fixture
def operator(people: People) -> Client:
    user = factories.make_user("operator")
    factories.join(user, people.team, Role.OPERATOR)
    return client_of(user)


def text(answer: Any) -> str:
    return str(answer.content.decode())


def post(client: Client, machine: Connection, what: str, **fields: str) -> Any:
    return client.post(f"/machines/{machine.pk}/{what}", fields, follow=True)


def queue_of(machine: Connection) -> MachineQueue:
    return MachineQueue.objects.get(pk=machine.pk)


def test_pausing_says_who_and_when_and_is_audited(people: People, machine: Connection) -> None:
    page = text(post(people.boss, machine, "queue", step="pause"))
    assert "Paused by boss" in flat(page)
    row = queue_of(machine)
    assert row.is_paused
    first = row.paused_at
    post(people.boss, machine, "queue", step="pause")
    assert queue_of(machine).paused_at == first
    assert AuditEvent.objects.filter(action="queue.change").count() == 2
    assert "Paused by boss" in flat(text(people.guest.get(f"/machines/{machine.pk}/jobs")))
    page = text(post(people.boss, machine, "queue", step="resume"))
    assert "Pause the queue" in " ".join(page.replace("</svg>", "").split())
    row = queue_of(machine)
    assert (row.is_paused, row.paused_by, row.paused_at) == (False, None, None)


def test_the_rules_are_changed_in_the_units_of_people(people: People, machine: Connection) -> None:
    post(people.boss, machine, "queue", step="pause")
    page = text(post(people.boss, machine, "queue", **(RULES | {"per_person": "2"})))
    assert "below 7.5 % and 600\xa0MiB for 20 s" in flat(page)
    assert "At most 2 jobs of one person" in flat(page)
    row = queue_of(machine)
    assert (row.idle_percent, row.idle_bytes, row.hold_seconds) == (7.5, 600 * 2**20, 20.0)
    assert row.per_person == 2
    assert row.is_paused  # the form has no word about that
    post(people.boss, machine, "queue", **RULES)
    assert queue_of(machine).per_person is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("per_person", "0"),
        ("per_person", "two"),
        ("idle_percent", "101"),
        ("idle_percent", "nan"),
        ("idle_percent", ""),
        ("idle_mib", "-1"),
        ("idle_mib", "1" * 40),
        ("hold_seconds", "301"),
    ],
)
def test_a_form_with_a_mistake_comes_back_as_it_was(
    people: People, machine: Connection, name: str, value: str
) -> None:
    before = MachineQueue.of(machine.pk)
    answer = post(people.boss, machine, "queue", **(RULES | {name: value}))
    assert answer.status_code == 422
    form = answer.context["queue_form"]
    assert list(form.errors) == [name]
    assert form[name].value() == value
    after = queue_of(machine)
    assert (after.idle_bytes, after.hold_seconds) == (before.idle_bytes, before.hold_seconds)


def test_the_queue_is_for_administrators(
    people: People, machine: Connection, operator: Client
) -> None:
    for client, status in ((operator, 403), (people.guest, 403), (people.stranger, 404)):
        assert post(client, machine, "queue", step="pause").status_code == status
    assert not MachineQueue.objects.filter(is_paused=True).exists()
    page = text(operator.get(f"/machines/{machine.pk}/jobs"))
    assert "needs administrator" in page
    assert "Change the rules" not in page


def test_the_api_says_who_paused_it(people: People, machine: Connection) -> None:
    post(people.boss, machine, "queue", step="pause")
    said = people.boss.get(f"/api/v1/connections/{machine.pk}/queue").json()
    assert said["paused_by"] == "boss"
    assert said["paused_at"].endswith("Z")


def test_each_gpu_has_a_button_and_a_wish_is_withdrawn(people: People, machine: Connection) -> None:
    gpus = tuple(Gpu(index=i, uuid=f"GPU-{i}", name="H100") for i in (0, 1))
    recorder = Recorder()
    recorder.add(machine.pk, machine.team_id, 1, Sample(timezone.now(), gpus=gpus))
    recorder.flush({machine.pk: 1})
    metrics = f"/machines/{machine.pk}/?tab=metrics"
    assert text(people.guest.get(metrics)).count(f"/machines/{machine.pk}/gpu-alert") == 2
    page = post(people.guest, machine, "gpu-alert", gpu="1", next=f"{metrics}&gpu=1")
    assert page.redirect_chain[-1][0] == f"{metrics}&gpu=1"
    assert "Do not tell me" in text(page)
    assert [(row.user.username, row.gpu) for row in GpuWish.objects.all()] == [("guest", 1)]
    assert "Do not tell me" not in text(people.boss.get(metrics))
    post(people.guest, machine, "gpu-alert", gpu="0")
    post(people.guest, machine, "gpu-alert", gpu="1", step="withdraw")
    assert [row.gpu for row in GpuWish.objects.all()] == [0]


@pytest.mark.parametrize("gpu", ["-1", "1024", "one", "00000999999", "²"])
def test_a_gpu_that_cannot_be_is_refused(people: People, machine: Connection, gpu: str) -> None:
    assert "There is no such GPU" in text(post(people.guest, machine, "gpu-alert", gpu=gpu))
    assert not GpuWish.objects.exists()


def test_the_old_path_of_the_button_leads_to_the_new_one(
    people: People, machine: Connection
) -> None:
    answer = people.guest.post(f"/machines/{machine.pk}/gpu-wish", {"gpu": "0"})
    assert answer.status_code == 308
    assert answer["Location"] == f"/machines/{machine.pk}/gpu-alert"
    assert people.stranger.post(f"/machines/{machine.pk}/gpu-wish").status_code == 404


def test_a_wish_never_leads_to_another_site(people: People, machine: Connection) -> None:
    for elsewhere in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        fields = {"gpu": "", "next": elsewhere}
        answer = people.guest.post(f"/machines/{machine.pk}/gpu-alert", fields)
        assert answer.headers["Location"] == f"/machines/{machine.pk}/?tab=metrics"
    assert post(people.stranger, machine, "gpu-alert", gpu="0").status_code == 404


@pytest.mark.parametrize(("gpus", "wished"), [(1, None), ([1], 1), ([0, 1], None)])
def test_a_waiting_job_offers_to_tell(
    people: People, machine: Connection, gpus: Any, wished: int | None
) -> None:
    job = make_job(make_project(machine), gpus=gpus, waiting_reason="GPU 1 is used by user ml")
    page = text(people.guest.get(f"/jobs/{job.pk}/"))
    assert f'name="gpu" value="{"" if wished is None else wished}"' in page
    job.move(Status.STOPPED, "test")
    assert "/gpu-alert" not in text(people.guest.get(f"/jobs/{job.pk}/"))
