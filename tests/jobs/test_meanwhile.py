"""What happens to people, project and job while a configuration is checked against a schema."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Membership, Role, User
from jobs.models import Job
from projects import schema_checks
from projects.models import Project
from tests import factories
from tests.api.client import Api

pytestmark = pytest.mark.django_db(transaction=True)

Slowly = Callable[[Callable[[], object]], None]


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Slowly:
    """What happens while the check runs, and is committed before it ends."""

    def while_checking(act: Callable[[], object]) -> None:
        monkeypatch.setattr(schema_checks, "check", lambda *args: act())

    return while_checking


@pytest.fixture
def project() -> Project:
    return factories.make_project()


@pytest.fixture
def operator(project: Project) -> User:
    user = factories.make_user()
    factories.join(user, project.connection.team, Role.OPERATOR)
    return user


def trash(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at="2026-01-01T00:00Z")


LOSSES = [
    (lambda person, project: Membership.objects.filter(user=person).delete(), 404),
    (lambda person, project: Membership.objects.filter(user=person).update(role="viewer"), 403),
    (lambda person, project: User.objects.filter(pk=person.pk).update(is_active=False), 401),
]
ENDS = [
    (lambda person, project: trash(project), 404),
    (lambda person, project: Project.objects.filter(pk=project.pk).update(status="archived"), 409),
]


@pytest.mark.parametrize(("act", "status"), [*LOSSES, *ENDS])
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "once"}])
def test_no_job_is_made_that_may_not_be_by_then(
    operator: User, project: Project, slowly: Slowly, act: Any, status: int, key: dict[str, str]
) -> None:
    api = Api(factories.make_token(operator))
    slowly(lambda: act(operator, project))
    body = {"project_id": str(project.pk), "name": "train", "command": "true", "config": {}}
    assert api.post("/jobs", body, **key).status_code == status
    assert not Job.objects.exists()


@pytest.mark.parametrize(("act", "status"), LOSSES)
def test_who_loses_the_right_meanwhile_changes_no_job(
    operator: User, project: Project, slowly: Slowly, act: Any, status: int
) -> None:
    row = make(project)
    api = Api(factories.make_token(operator))
    slowly(lambda: act(operator, project))
    answer = api.patch(f"/jobs/{row.pk}", {"name": "other", "config": {}})
    assert answer.status_code == status
    row.refresh_from_db()
    assert row.name == "train"


def test_a_job_that_is_deleted_meanwhile_is_not_changed(
    operator: User, project: Project, slowly: Slowly
) -> None:
    row = make(project)
    api = Api(factories.make_token(operator))
    slowly(lambda: api.delete(f"/jobs/{row.pk}"))
    assert api.patch(f"/jobs/{row.pk}", {"name": "other", "config": {}}).status_code == 404
    row.refresh_from_db()
    assert row.name == "train"


def make(project: Project) -> Job:
    return Job.objects.create(
        project=project, connection=project.connection, name="train", command="true"
    )
