"""What a run began from, from a real repository over a real OpenSSH server into a row."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from connections.keeper.keeper import Keeper
from jobs.models import Job, JobOrigin
from jobs.serializers import detail_dict
from tests.jobs.conftest import ended
from tests.programs import require_program
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

Submit = Callable[..., Job]
StartKeeper = Callable[[], Keeper]


def make_repository(folder: Path, *remote: str) -> str:
    """One commit on the branch `trial`; its id."""
    git = (require_program("git"), "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run([*git, "init", "--quiet", "--initial-branch", "trial"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "first"], check=True)
    if remote:
        subprocess.run([*git, "remote", "add", "origin", *remote], check=True)
    shown = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return shown.stdout.strip()


def origin_of(job: Job) -> JobOrigin:
    until(lambda: JobOrigin.objects.filter(job=job).exists(), "what the run began from")
    return JobOrigin.objects.get(job=job)


def test_a_short_run_tells_what_it_began_from(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path
) -> None:
    folder = tmp_path / "home/project"
    folder.mkdir()
    commit = make_repository(folder, "https://ann:hunter2@example.org/p.git")
    job = submit("true")
    job.project.remote_path = job.project.resolved_path = str(folder)
    job.project.save()
    start_keeper()
    ended(job)
    git = origin_of(job).data["git"]
    assert (git["commit"], git["branch"], git["is_dirty"]) == (commit, "trial", False)
    assert git["remote_url"] == "https://example.org/p.git"
    shown = detail_dict(job)["origin"]
    assert shown is not None
    assert shown["python"]["version"].startswith("3.")
    assert shown["gpus"] == []


def test_a_secret_is_starred_out_also_there(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path
) -> None:
    make_repository(tmp_path / "home", "https://example.org/hunter2/p.git")
    job = submit("true", environment={"API_TOKEN": "hunter2"})
    start_keeper()
    ended(job)
    assert origin_of(job).data["git"]["remote_url"] == "https://example.org/*******/p.git"


def test_a_run_whose_origin_never_comes_ends_all_the_same(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path
) -> None:
    """A folder stands where the file belongs."""
    job = submit("mkdir $HOME/.dgxsite/jobs/$DGXSITE_JOB_ID/origin.new; echo end; exit 3")
    start_keeper()
    ended(job)
    assert (job.status, job.exit_code) == ("failed", 3)
