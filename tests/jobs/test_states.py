"""The steps of a job: refused in code, and refused by PostgreSQL whoever writes them."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from jobs.models import Job
from jobs.models.states import FINAL, STEPS, IllegalStep, Status, is_legal
from projects.models import Project
from tests.jobs.rows import make_job, make_project

pytestmark = pytest.mark.django_db

PAIRS = [(before, after) for before in Status for after in Status if before != after]


def completed(status: str) -> dict[str, Any]:
    return {"completed_at": timezone.now()} if status in FINAL else {}


def put(job: Job, status: str) -> None:
    """The row in any state, past all guards."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE jobs_job DISABLE TRIGGER jobs_note_step")
        Job.objects.filter(pk=job.pk).update(
            status=status,
            previous_status=_some_way_to(status),
            **{"completed_at": None} | completed(status),
        )
        cursor.execute("ALTER TABLE jobs_job ENABLE TRIGGER jobs_note_step")
    job.refresh_from_db()


def _some_way_to(status: str) -> str:
    return next(str(before) for before, after in STEPS.items() if status in after)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_code_and_database_refuse_the_same_steps(before: Status, after: Status) -> None:
    job = make_job()
    put(job, before)
    if is_legal(before, after):
        assert job.move(after, "test")
        return
    with pytest.raises(IllegalStep):
        job.move(after, "test")
    # The columns of a final state are right here, so that only the step can be what is refused.
    columns = {"completed_at": None} | completed(after)
    with pytest.raises(IntegrityError, match="job_step_is_legal"), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(status=after, **columns)


@pytest.mark.parametrize("status", sorted(set(Status) - STEPS[""]))
def test_a_job_begins_at_the_beginning(status: str) -> None:
    with pytest.raises(IntegrityError, match="job_step_is_legal"), transaction.atomic():
        make_job(status=status, **completed(status))


def test_only_the_first_of_two_moves_counts() -> None:
    job = make_job()
    other = Job.objects.get(pk=job.pk)
    assert job.move(Status.STARTING, "one")
    assert not other.move(Status.STOPPED, "two")
    assert list(job.changes.values_list("to_status", flat=True)) == ["starting"]


class Steps(RuleBasedStateMachine):
    """Two people with a copy each, one of them often outdated, and somebody who writes raw."""

    project: Project

    def __init__(self) -> None:
        super().__init__()
        self.job = make_job(self.project)
        self.outdated = Job.objects.get(pk=self.job.pk)
        self.status: str = self.job.status
        self.steps: list[tuple[str, str]] = []

    @rule(to=st.sampled_from(Status))
    def move(self, to: Status) -> None:
        try:
            moved = self.job.move(to, "test")
        except IllegalStep:
            assert not is_legal(self.status, to)
        else:
            assert moved
            self._note(to)

    @rule(to=st.sampled_from(Status))
    def move_an_outdated_copy(self, to: Status) -> None:
        is_current = self.outdated.status == self.status
        try:
            moved = self.outdated.move(to, "test")
        except IllegalStep:
            return
        assert moved == is_current
        if moved:
            self._note(to)
            self.job.refresh_from_db()

    @rule(to=st.sampled_from(Status))
    def write_raw(self, to: Status) -> None:
        columns = {"completed_at": None} | completed(to)
        try:
            with transaction.atomic():
                Job.objects.filter(pk=self.job.pk).update(status=to, **columns)
        except IntegrityError:
            assert not is_legal(self.status, to)
            return
        assert to == self.status or is_legal(self.status, to)
        self.status = to
        self.job.refresh_from_db()

    @rule()
    def read_again(self) -> None:
        self.outdated.refresh_from_db()

    @invariant()
    def the_row_is_where_legal_steps_led(self) -> None:
        row = Job.objects.get(pk=self.job.pk)
        assert row.status == self.status
        assert (row.completed_at is not None) == (row.status in FINAL)
        assert all(is_legal(*step) for step in self.steps)
        assert [(c.from_status, c.to_status) for c in row.changes.all()] == self.steps

    def _note(self, to: str) -> None:
        self.steps.append((self.status, str(to)))
        self.status = str(to)


def test_no_sequence_of_steps_is_illegal() -> None:
    Steps.project = make_project()
    run_state_machine_as_test(
        Steps,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
