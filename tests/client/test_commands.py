"""The command line against the real API, with real jobs on a real machine."""

import signal
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
import redis

from accounts.models import Role, Scope, User
from connections.keeper.keeper import Keeper
from connections.models import Connection
from connections.models import Status as Link
from jobs.log import store as log_store
from jobs.models import Job, Status
from metrics.history.buffer import Unsaved
from metrics.live import store as live_store
from projects.models import Project
from tests.client.conftest import Command
from tests.factories import join, make_connection, make_token, make_user
from tests.jobs.conftest import ended, status_of
from tests.jobs.rows import make_job, make_project
from tests.metrics.machines import MOMENT, make_sample

pytestmark = pytest.mark.django_db(transaction=True)

StartKeeper = Callable[[], Keeper]


@pytest.fixture
def project(machine_row: Connection, tmp_path: Path) -> Project:
    return make_project(machine_row, tmp_path / "home", name="p")


def test_run_waits_and_ends_as_the_job_does(
    dgxsite: Command, project: Project, start_keeper: StartKeeper
) -> None:
    start_keeper()
    done = dgxsite(
        "run", "-p", "p", "--wait", "-e", "A=1", "--", "sh", "-c", "echo it is $A; exit 7"
    )
    assert (done.returncode, done.stdout) == (7, "it is 1\n")
    assert "exit code 7" in done.stderr
    job = Job.objects.get()
    assert (job.status, job.name) == (Status.FAILED, "sh -c echo it is $A; exit 7")
    assert dgxsite("logs", "-f", job.name).returncode == 7
    assert dgxsite("logs", str(job.pk)[:8]).stdout == "it is 1\n"


def test_ctrl_c_leaves_the_job_running_and_stop_ends_it(
    dgxsite: Command, project: Project, start_keeper: StartKeeper
) -> None:
    start_keeper()
    process = dgxsite.start("run", "-p", "p", "-w", "--", "echo ready; sleep 600")
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=60)
    finally:
        process.kill()
    job = Job.objects.get()
    assert process.returncode == 130
    assert f"dgxsite logs -f {job.pk}" in words
    assert "Traceback" not in words
    assert status_of(job) == Status.RUNNING
    assert dgxsite("stop", str(job.pk)).returncode == 0
    assert ended(job).status == Status.STOPPED
    again = dgxsite("stop", str(job.pk))
    assert (again.returncode, "already ended" in again.stderr) == (1, True)


def test_run_without_waiting_prints_the_id(dgxsite: Command, project: Project) -> None:
    line = ["--gpus", "0,1", "--max-minutes", "5", "--retries", "2", "--name", "n"]
    done = dgxsite(
        "run", "--project", str(project.pk), *line, "--", "python", "t.py", "--lr", "a b"
    )
    job = Job.objects.get(pk=UUID(done.stdout.strip()))
    assert (job.gpus, job.max_minutes, job.max_retries, job.name) == ([0, 1], 5, 2, "n")
    assert job.command == "python t.py --lr 'a b'"


def test_run_says_all_that_the_form_says(
    dgxsite: Command, project: Project, tmp_path: Path
) -> None:
    first = make_job(project, name="first")
    (tmp_path / "c.json").write_text('{"lr": 0.1}')
    options = [
        *("--config", str(tmp_path / "c.json"), "--after", "first", "--at", "23:59"),
        *("--venv", "/opt/venv", "--model", "resnet50"),
    ]
    done = dgxsite("run", "-p", "p", *options, "true")
    assert done.returncode == 0, done.stderr
    job = Job.objects.get(pk=UUID(done.stdout.strip()))
    assert (job.config, job.after_id, job.model_name) == ({"lr": 0.1}, first.pk, "resnet50")
    assert job.virtualenv == "/opt/venv"
    assert job.not_before is not None
    assert job.not_before.astimezone().strftime("%H:%M") == "23:59"


@pytest.mark.parametrize("text", ["[]", '{"a": 1, "a": 2}', "{", "[" * 100_000, None])
def test_a_configuration_that_says_nothing_is_not_sent(
    dgxsite: Command, project: Project, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "c.json").write_text(text)
    done = dgxsite("run", "-p", "p", "--config", str(tmp_path / "c.json"), "true")
    assert (done.returncode, "cannot be sent" in done.stderr) == (2, True)
    assert not Job.objects.exists()


def test_a_variable_is_taken_from_here(dgxsite: Command, project: Project) -> None:
    assert dgxsite("run", "-p", "p", "-e", "HF_TOKEN", "true", HF_TOKEN="hf_1").returncode == 0
    assert Job.objects.get().environment == {"HF_TOKEN": "hf_1"}
    done = dgxsite("run", "-p", "p", "-e", "MISSING", "true")
    assert (done.returncode, "MISSING is not set" in done.stderr) == (2, True)


def test_ps_lists_what_lives(dgxsite: Command, project: Project) -> None:
    make_job(project, name="waits\x1b[2J", waiting_reason="GPU 1 is used by user ml")
    make_job(project, name="over").move(Status.STOPPED, "test")
    shown = dgxsite("ps").stdout
    assert "waits  queued" in shown
    assert "\x1b" not in shown
    assert "GPU 1 is used by user ml" in shown
    assert "over" not in shown
    assert "over" in dgxsite("ps", "--all").stdout


def test_gpus_lists_all_and_says_what_is_not_there(
    dgxsite: Command, redis_client: "redis.Redis"
) -> None:
    spark = make_connection(name="spark", status=Link.CONNECTED, epoch=1)
    make_connection(name="away", status=Link.DISCONNECTED)
    make_connection(name="new", status=Link.CONNECTED)
    recorder = live_store.Recorder(Unsaved())
    recorder.add(spark.pk, spark.team_id, 1, make_sample(MOMENT, gpus=2))
    recorder.flush({spark.pk: 1})
    lines = dgxsite("gpus").stdout.splitlines()
    assert len(lines) == 5
    text = "\n".join(lines)
    assert "20.0 / 80.0 GiB" in text
    assert "300 W" in text
    assert "ml" in text
    assert "disconnected" in text


def test_a_long_log_comes_whole(dgxsite: Command, project: Project) -> None:
    job = make_job(project)
    text = "".join(f"line {number} äöü\n" for number in range(50_000))
    log_store.append(job, text.encode(), MOMENT)
    assert dgxsite("logs", job.name).stdout == text


def test_login_keeps_a_token_that_works(dgxsite: Command) -> None:
    token, url = dgxsite.environment.pop("DGXSITE_TOKEN"), dgxsite.environment.pop("DGXSITE_URL")
    wrong = dgxsite("login", "--url", url, stdin="dgx_wrong\n")
    path = dgxsite.home / ".config/dgxsite/token"
    assert (wrong.returncode, path.exists()) == (1, False)
    assert dgxsite("login", "--url", url, stdin=f"{token}\n").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert dgxsite("ps").returncode == 0
    path.chmod(0o640)
    open_to_others = dgxsite("ps")
    assert (open_to_others.returncode, "chmod 600" in open_to_others.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "-p", "nothing", "true"), "There is no project 'nothing'. There are: p"),
        (("run", "-p", "p"), "Say what to run"),
        (("run", "-p", "p", "--gpus", ",", "true"), "--gpus takes"),
        (("logs", "nothing"), "There is no job 'nothing'"),
        (("logs", "00000000-0000-4000-8000-000000000000"), "no"),
        (("run", "-p", "p", "-e", "LD_PRELOAD=/x", "true"), "environment"),
    ],
)
def test_says_what_is_wrong(
    dgxsite: Command, project: Project, arguments: tuple[str, ...], words: str
) -> None:
    done = dgxsite(*arguments)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not Job.objects.exists()


def test_of_two_projects_with_one_name_the_machine_says_which(
    dgxsite: Command, project: Project
) -> None:
    other = make_project(make_connection(name="other"), name="p")
    done = dgxsite("run", "-p", "p", "true")
    assert (done.returncode, str(other.pk) in done.stderr) == (2, True)
    assert dgxsite("run", "-p", "p", "-m", "other", "true").returncode == 0
    assert Job.objects.get().project == other


def test_a_token_that_may_only_read_starts_nothing(dgxsite: Command, project: Project) -> None:
    person: User = make_user()
    join(person, project.connection.team, Role.OPERATOR)
    done = dgxsite("run", "-p", "p", "true", DGXSITE_TOKEN=make_token(person, Scope.READ))
    assert done.returncode == 1
    assert not Job.objects.exists()
