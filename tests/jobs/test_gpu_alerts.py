"""Who waits for a GPU is told once, when it is really free."""

import pytest

from accounts.models import Role, Team, User
from accounts.policy import Caller
from connections.models import Connection
from core.errors import NotFound
from jobs.models import GpuWish, Status
from jobs.queue import gpu_alerts
from jobs.queue.devices import Device
from notifications.models import Notification
from tests.factories import join, make_connection, make_team, make_user
from tests.jobs.rows import make_job, make_project

pytestmark = pytest.mark.django_db

FREE = [
    Device("0", "GPU 0", "GPU 0 is busy"),
    Device("1", "GPU 1", None),
    Device("2", "GPU 2", None),
]


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def machine(team: Team) -> Connection:
    return make_connection(team)


@pytest.fixture
def viewer(team: Team) -> User:
    user = make_user()
    join(user, team, Role.VIEWER)
    join(make_user(), team, Role.ADMINISTRATOR)
    return user


def fulfil(machine: Connection, devices: list[Device] | None = FREE) -> int:
    return gpu_alerts.notify_waiting(machine.pk, lambda rules: devices)


def told() -> list[tuple[User, str]]:
    rows = Notification.objects.select_related("user", "event").order_by("pk")
    return [(row.user, row.event.title) for row in rows]


def test_tells_the_one_who_wished_it_once(machine: Connection, viewer: User) -> None:
    gpu_alerts.create_alert(Caller(viewer), machine.pk, 2)
    gpu_alerts.create_alert(Caller(viewer), machine.pk, 2)
    assert fulfil(machine) == 1
    assert told() == [(viewer, f"GPU 2 of {machine.name} is free")]
    assert fulfil(machine) == 0


@pytest.mark.parametrize(
    ("gpu", "devices"),
    [(0, FREE), (7, FREE), (2, None), (None, []), (0, [Device("0", "GPU 0", None, is_split=True)])],
)
def test_waits_on_while_it_is_not_free(
    machine: Connection, viewer: User, gpu: int | None, devices: list[Device] | None
) -> None:
    gpu_alerts.create_alert(Caller(viewer), machine.pk, gpu)
    assert fulfil(machine, devices) == 0
    assert GpuWish.objects.exists()


def test_what_a_job_holds_or_waits_for_is_not_free(machine: Connection, viewer: User) -> None:
    gpu_alerts.create_alert(Caller(viewer), machine.pk, 1)
    project = make_project(machine)
    holder = make_job(project)
    holder.move(Status.STARTING, "test", granted=["1"])
    assert fulfil(machine) == 0
    waiting = make_job(project, gpus=8)
    holder.move(Status.COMPLETED, "test")
    assert fulfil(machine) == 0
    waiting.move(Status.STOPPED, "test")
    assert fulfil(machine) == 1


def test_any_gpu_will_do(machine: Connection, viewer: User) -> None:
    gpu_alerts.create_alert(Caller(viewer), machine.pk, None)
    assert fulfil(machine) == 1
    assert told() == [(viewer, f"GPU 1 of {machine.name} is free")]


def test_who_left_the_team_is_told_nothing(machine: Connection, viewer: User) -> None:
    gpu_alerts.create_alert(Caller(viewer), machine.pk, 1)
    viewer.memberships.all().delete()
    assert fulfil(machine) == 1
    assert told() == []


def test_a_stranger_wishes_nothing_and_a_wish_can_be_withdrawn(
    machine: Connection, viewer: User
) -> None:
    with pytest.raises(NotFound):
        gpu_alerts.create_alert(Caller(make_user()), machine.pk, 1)
    gpu_alerts.create_alert(Caller(viewer), machine.pk, 1)
    assert gpu_alerts.cancel_alerts(Caller(viewer), machine.pk) == 1
    assert fulfil(machine) == 0
