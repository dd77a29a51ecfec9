"""Secrets that are put in on purpose are looked for everywhere else: nothing may repeat one.

The site is driven by its API, its pages and its admin, with mistakes and with faults, while a real
keeper logs in to a real SSH server with the same secrets. A word that is no secret goes the same
ways and has to be found everywhere, so that a search that sees nothing fails.
"""

import logging
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives import serialization
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client

from accounts.models import Role, User
from connections.keeper.keeper import Keeper
from connections.models import Connection
from dgxsite.up import servers
from jobs.models import Job
from notifications.models import Channel
from projects.models import Project
from tests import factories, sshd
from tests.access.addresses import address_of, every_route
from tests.access.cast import make_cast
from tests.api.client import Api
from tests.connections.conftest import quick, start_keeper, state
from tests.hardening import watching
from tests.waiting import until

__all__ = ["quick", "start_keeper"]

pytestmark = pytest.mark.django_db(transaction=True)

# A job's configuration is no credential of the site: it stands in the database as it was written.
IN_THE_OPEN_THERE = "setting"

# No secret: the machine's name, which everybody may read.
CONTROL = "control-word-in-the-open"


@dataclass
class Stage:
    """A team's administrator at every door, the SSH server, and the secrets by name."""

    boss: User
    team_id: str
    server: sshd.Sshd
    canaries: dict[str, str]
    api: Api
    page: Client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd"))
    yield running
    running.stop()


@pytest.fixture
def stage(
    server: sshd.Sshd, redis_client: object, quick: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    words = [
        *("passphrase", "password", "login", "webhook", "address", "database", "typo"),
        *("variable", "marked", IN_THE_OPEN_THERE),
    ]
    canaries = {word: f"canary-{word}-{secrets.token_hex(12)}" for word in words}
    canaries["seed"] = "JBSWY3DPEHPK3PXPCANARYSEEDAAAAAA"
    # Every further connection shows it to PostgreSQL, which asks nobody here for a password.
    monkeypatch.setitem(connections.databases["default"], "PASSWORD", canaries["database"])
    connection.close()
    team = factories.make_team()
    boss = User.objects.create_user("boss", password=canaries["login"], is_staff=True)
    boss.is_superuser = True
    boss.save()
    factories.join(boss, team, Role.ADMINISTRATOR)
    canaries["token"] = factories.make_token(boss)
    page = Client(raise_request_exception=False)
    yield Stage(boss, str(team.pk), server, canaries, Api(canaries["token"]), page)
    connection.close()


def locked(key: str, passphrase: str) -> str:
    """The same private key under a passphrase."""
    opened = serialization.load_ssh_private_key(key.encode(), None)
    return opened.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(passphrase.encode()),
    ).decode()


def machine(stage: Stage, **fields: Any) -> dict[str, Any]:
    return {
        "name": CONTROL,
        "team_id": stage.team_id,
        "hostname": "127.0.0.1",
        "port": stage.server.port,
        "username": stage.server.user,
        "host_key": stage.server.host_key_fingerprint,
    } | fields


def test_no_secret_is_repeated_anywhere(
    stage: Stage,
    start_keeper: Callable[..., Keeper],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        watching.logs() as log,
        watching.redis_traffic() as traffic,
        watching.processes() as programs,
    ):
        start_keeper()
        answers = [*by_api(stage), *by_jobs(stage), *by_pages(stage)]
        answers += by_faults(stage, monkeypatch)
        settle(stage)
        answers += read_everything(stage)
        show_the_control()
        stored = watching.redis_content()
    places = {
        "log": log,
        "redis traffic": traffic,
        "redis": stored,
        "processes": sorted(programs),
        "answers": answers,
        "dump": [plain_dump()],
    }
    assert [name for name, texts in places.items() if not holds(texts, CONTROL)] == []
    found = [
        f"{word} in {name}: {text[:300]}"
        for name, texts in places.items()
        for word, canary in stage.canaries.items()
        for text in texts
        if canary in text and (word, name) != (IN_THE_OPEN_THERE, "dump")
    ]
    assert found == []


def by_api(stage: Stage) -> list[str]:
    """Machines and channels through the REST API; the texts of the answers."""
    canaries = stage.canaries
    pasted = locked(stage.server.client_key, canaries["passphrase"])
    canaries["locked key"] = pasted.splitlines()[3]
    canaries["open key"] = stage.server.client_key.splitlines()[2]
    key = {"auth_method": "key", "private_key": pasted, "passphrase": canaries["passphrase"]}
    word = {"auth_method": "password", "password": canaries["password"], "name": "by password"}
    typo = canaries["typo"]
    hook = f"http://127.0.0.1:9/{canaries['address']}"
    channel = {"kind": "webhook", "url": hook, "secret": canaries["webhook"]}
    sent: list[tuple[str, dict[str, Any], int]] = [
        ("/connections", machine(stage, **key), 201),
        ("/connections", machine(stage, **word), 201),
        ("/connections/test", machine(stage, **key), 200),
        ("/connections", machine(stage, **key) | {"name": "n", "passphrase": typo}, 422),
        ("/connections", machine(stage, **key) | {"name": "n", "private_key": typo}, 422),
        ("/connections", machine(stage, **word) | {"name": "n", "pasword": typo}, 422),
        ("/notification-channels", channel | {"name": CONTROL, "team_id": stage.team_id}, 201),
        ("/notification-channels", channel | {"name": "n", "url": typo}, 422),
    ]
    texts = []
    for path, body, status in sent:
        answer = stage.api.post(path, body)
        texts.append(answer.content.decode())
        assert answer.status_code == status, (path, texts[-1])
    tested = stage.api.post(f"/notification-channels/{Channel.objects.get().pk}/test")
    # The one answer that shows a webhook's secret is the one that made it up; here it was given.
    return [*texts, tested.content.decode()]


def by_jobs(stage: Stage) -> list[str]:
    """A job with variables that sound secret or are marked, and a project with a key."""
    canaries = stage.canaries
    row = Connection.objects.get(name=CONTROL)
    project = factories.make_project(row, name=CONTROL)
    config = {"wandb": {"api_key": canaries[IN_THE_OPEN_THERE]}, "word": CONTROL}
    variables = {"HF_TOKEN": canaries["variable"], "COLOUR": canaries["marked"], "OPEN": CONTROL}
    job = {"name": CONTROL, "command": "true", "start": False, "secret_names": ["COLOUR"]}
    job |= {"project_id": str(project.pk), "environment": variables, "config": config}
    changed = stage.api.patch(f"/projects/{project.pk}", {"config": config})
    made = stage.api.post("/jobs", job)
    assert (changed.status_code, made.status_code) == (200, 201), made.content
    path = f"/jobs/{made.json()['id']}"
    others = [
        stage.api.patch(path, {"secret_names": []}),
        stage.api.post("/jobs", job | {"gpus": -1}),
    ]
    return [answer.content.decode() for answer in (changed, made, *others)]


def by_pages(stage: Stage) -> list[str]:
    """A wrong login, a login, a second factor, and the same machine's form in page and admin."""
    canaries, page = stage.canaries, stage.page
    login = {"login": "boss", "password": canaries["typo"]}
    texts = [page.post("/accounts/login/", login).content.decode()]
    right = page.post("/accounts/login/", login | {"password": canaries["login"]})
    assert right.status_code == 302, right.content.decode()[-2000:]
    TOTP.activate(stage.boss, canaries["seed"])
    form = machine(stage, name="by page", auth_method="password", password=canaries["password"])
    form |= {"team": stage.team_id, "tags": "[]", "transport": "ssh", "ollama_port": "11434"}
    for path in ("/machines/add", "/admin/connections/connection/add/"):
        for fields in ({"port": "0"}, {"username": canaries["typo"] + "$("}, {}):
            sent = form | {"name": f"{path[:4]} form"} | fields
            texts.append(page.post(path, sent).content.decode())
    # A form shows again what was typed into an open field; that one is no secret's.
    return [text.replace(canaries["typo"] + "$(", "") for text in texts]


def by_faults(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The code breaks while it holds the secrets: answers and tracebacks stay silent."""

    def breaks(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a fault of our own")

    with monkeypatch.context() as patch:
        patch.setattr("connections.inputs.fill", breaks)
        patch.setattr("connections.inputs.new", breaks)
        body = machine(stage, name="n", auth_method="password")
        body["password"] = stage.canaries["password"]
        answers = [
            stage.api.post("/connections", body),
            stage.page.post("/admin/connections/connection/add/", admin_form(stage)),
        ]
    assert [answer.status_code for answer in answers] == [500, 500]
    return [answer.content.decode() for answer in answers]


def admin_form(stage: Stage) -> dict[str, Any]:
    sent = machine(stage, name="n", auth_method="password", password=stage.canaries["password"])
    return sent | {
        "team": stage.team_id,
        "tags": "[]",
        "transport": "ssh",
        "ollama_port": "11434",
    }


def settle(stage: Stage) -> None:
    """The keeper has tried both ways in."""
    by_key = Connection.objects.get(name=CONTROL)
    by_password = Connection.objects.get(name="by password")
    until(lambda: state(by_key) == ("connected", ""), seconds=30)
    until(lambda: state(by_password)[0] == "error", seconds=30)


def read_everything(stage: Stage) -> list[str]:
    """Every address that can be read, by a superuser, as page and with the token."""
    row = Connection.objects.get(name=CONTROL)
    values = (
        make_cast().values
        | {
            "connection_id": row.pk,
            "connections.connection": row.pk,
            "channel_id": Channel.objects.get(name=CONTROL).pk,
            "notifications.channel": Channel.objects.get(name=CONTROL).pk,
            "accounts.user": stage.boss.pk,
            "accounts.apitoken": stage.boss.api_tokens.get().pk,
            "team_id": stage.team_id,
        }
        | dict.fromkeys(("project_id", "projects.project"), Project.objects.get(name=CONTROL).pk)
    )
    values |= dict.fromkeys(("job_id", "jobs.job"), Job.objects.get(name=CONTROL).pk)
    stage.page.force_login(stage.boss)
    texts = []
    for route in every_route():
        path = address_of(route, values).path
        if "logout" not in route:
            texts.append(text_of(stage.page.get(path)))
        if path.startswith("/api/v1/"):
            texts.append(text_of(stage.api.get(path.removeprefix("/api/v1"))))
    return texts


def text_of(answer: Any) -> str:
    if not answer.streaming:
        body = answer.content
    elif answer.is_async:
        body = async_to_sync(joined)(answer)
    else:
        body = b"".join(answer)
    answer.close()
    return str(body.decode(errors="replace"))


async def joined(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer])


def show_the_control() -> None:
    """The word that is no secret, where the site itself has no reason to put it."""
    cache.set("control", CONTROL)
    logging.getLogger("dgxsite").debug("a line with %s", CONTROL)
    argv = [sys.executable, "-c", "import time; time.sleep(0.3)", CONTROL]
    subprocess.run(argv, check=True)


def plain_dump() -> str:
    """The whole database as text."""
    place = connection.settings_dict
    address = f"postgresql:///{place['NAME']}?host={place['HOST']}&user={place['USER']}"
    program = Path(servers.postgres_program("pg_dump"))
    done = subprocess.run([program, address], capture_output=True, text=True, check=True)
    return done.stdout


def holds(texts: list[str], word: str) -> bool:
    return any(word in text for text in texts)
