"""The page that tells one run as a whole: what is on it, and for whom."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.log import store as log_store
from jobs.models import JobOrigin
from jobs.remote.origin import parse
from tests import factories
from tests.jobs.rows import make_job
from tests.jobs.test_pages import ended, text
from tests.pages.people import make_people


@pytest.mark.django_db
def test_tells_the_run_to_those_who_see_it(redis_client: object) -> None:
    people = make_people()
    machine = factories.make_connection(people.team, name="Spark 1")
    project = factories.make_project(machine, name="mnist", resolved_path="/srv/mnist")
    job = ended(project, "failed", name="<b>run", config={"api_key": "sesame", "lr": 0.5})
    printed = b"step=1 loss=3\nstep=2 loss=2\nValueError: no\n"
    log_store.append(job, printed, timezone.now() - timedelta(minutes=1))
    written = b"host spark-1\ncommit " + b"a" * 40 + b"\nchanged_files 1\n"
    JobOrigin.objects.create(job=job, data=parse(written) | {"gpus": []})
    shown = text(people.guest.get(f"/jobs/{job.pk}/report"))
    for part in (
        "&lt;b&gt;run",
        "aaaaaaaaaaaa · 1 changed file",
        "loss",
        "ValueError: no",
        "<path",
    ):
        assert part in shown
    assert "sesame" not in shown
    assert "aaaaaaaaaaaa" in text(people.guest.get(f"/jobs/{job.pk}/"))
    assert people.stranger.get(f"/jobs/{job.pk}/report").status_code == 404
    waiting = make_job(project)
    assert "It is written down when the job starts." in text(
        people.guest.get(f"/jobs/{waiting.pk}/report")
    )
