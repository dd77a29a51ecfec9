"""What happens to people, machine and project while a machine is asked for a folder."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import AuditEvent, Membership, Role, User
from connections.files import folders
from connections.models import Connection
from projects.models import Project
from tests import factories
from tests.api.client import Api

pytestmark = pytest.mark.django_db(transaction=True)

Slowly = Callable[[Callable[[], object]], None]


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Slowly:
    """What happens while a machine is asked, and is committed before it answers."""

    def while_asking(act: Callable[[], object]) -> None:
        def ask(*args: Any, **kwargs: Any) -> str:
            act()
            return "/home/ml/mnist"

        monkeypatch.setattr(folders, "resolve", ask)

    return while_asking


@pytest.fixture
def machine() -> Connection:
    return factories.make_connection()


@pytest.fixture
def operator(machine: Connection) -> User:
    user = factories.make_user()
    factories.join(user, machine.team, Role.OPERATOR)
    return user


LOSSES = [
    (lambda person, machine: Membership.objects.filter(user=person).delete(), 404),
    (lambda person, machine: Membership.objects.filter(user=person).update(role="viewer"), 403),
    (lambda person, machine: User.objects.filter(pk=person.pk).update(is_active=False), 401),
]


@pytest.mark.parametrize(("lose", "status"), LOSSES)
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "once"}])
def test_who_loses_the_right_meanwhile_adds_nothing(
    operator: User, machine: Connection, slowly: Slowly, lose: Any, status: int, key: dict[str, str]
) -> None:
    api = Api(factories.make_token(operator))
    slowly(lambda: lose(operator, machine))
    body = {"connection_id": str(machine.pk), "name": "mnist", "remote_path": "~/mnist"}
    assert api.post("/projects", body, **key).status_code == status
    assert not Project.objects.exists()
    assert not AuditEvent.objects.filter(action="project.create").exists()


def test_nothing_is_added_to_a_machine_that_is_deleted_meanwhile(
    operator: User, machine: Connection, slowly: Slowly
) -> None:
    api = Api(factories.make_token(operator))
    gone = Connection.objects.filter(pk=machine.pk)
    slowly(lambda: gone.update(deleted_at="2026-01-01T00:00Z"))
    body = {"connection_id": str(machine.pk), "name": "mnist", "remote_path": "~/mnist"}
    assert api.post("/projects", body).status_code == 404
    assert not Project.objects.exists()


@pytest.mark.parametrize(("lose", "status"), LOSSES)
@pytest.mark.parametrize("is_check", [False, True])
def test_who_loses_the_right_meanwhile_changes_nothing(
    operator: User, machine: Connection, slowly: Slowly, lose: Any, status: int, is_check: bool
) -> None:
    row = factories.make_project(machine)
    api = Api(factories.make_token(operator))
    slowly(lambda: lose(operator, machine))
    path = f"/projects/{row.pk}"
    if is_check:
        assert api.post(f"{path}/check").status_code == status
    else:
        assert api.patch(path, {"remote_path": "~/other"}).status_code == status
    row.refresh_from_db()
    assert (row.remote_path, row.resolved_path) == ("~/project", "")


def test_a_project_that_is_deleted_meanwhile_is_not_changed(
    operator: User, machine: Connection, slowly: Slowly
) -> None:
    row = factories.make_project(machine)
    api = Api(factories.make_token(operator))
    slowly(lambda: api.delete(f"/projects/{row.pk}"))
    assert api.patch(f"/projects/{row.pk}", {"remote_path": "~/other"}).status_code == 404
    row.refresh_from_db()
    assert row.remote_path == "~/project"
    assert row.deleted_at is not None
