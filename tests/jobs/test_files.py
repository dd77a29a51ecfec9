"""The tab Files of a job, over a real OpenSSH server: listed, shown, downloaded, never outside."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.test import Client
from pytest_django import Settings

from accounts.auth import rate_limits
from accounts.models import AuditEvent, Role, User
from connections import ssh
from connections.files import browse
from jobs.files import access as files_access
from jobs.models import Job
from tests import factories, sshd
from tests.jobs.rows import make_job, make_project
from tests.pages.people import People, client_of, make_people

# Not UTF-8, hidden characters, markup, and what a shell would run.
HOSTILE = [b"caf\xe9", b"a\nb", b"<img src=x onerror=alert(1)>", b"$(touch x)", b"\xe2\x80\xaegpj"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path / "sshd", options={"Subsystem": f"sftp internal-sftp -d {home}"})
    yield running
    running.stop()


@pytest.fixture
def people(db: None, redis_client: object) -> People:
    return make_people()


@pytest.fixture
def operator(people: People) -> User:
    user = factories.make_user("operator")
    factories.join(user, people.team, Role.OPERATOR)
    return user


@pytest.fixture
def client(operator: User) -> Client:
    return client_of(operator)


@pytest.fixture
def folder(home: Path) -> Path:
    path = home / "mnist"
    path.mkdir()
    return path


@pytest.fixture
def job(people: People, server: sshd.Sshd, folder: Path, settings: Settings) -> Job:
    """A job of a project in `folder`, on the team's machine, which is the server."""
    settings.ALLOW_LOOPBACK = True
    machine = factories.make_connection(people.team, hostname="127.0.0.1", port=server.port)
    machine.username, machine.host_key = server.user, server.host_key_fingerprint
    machine.auth_method = "key"
    machine.set_secret("private_key", server.client_key)
    machine.save()
    return make_job(make_project(machine, folder))


def look(client: Client, job: Job, query: str = "") -> Any:
    return client.get(f"/jobs/{job.pk}/?tab=files&{query}")


def names(answer: Any) -> list[str]:
    return [line.name for line in answer.context["lines"]]


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_lists_folders_first_with_sizes_times_and_modes(
    client: Client, job: Job, folder: Path
) -> None:
    (folder / "b.txt").write_text("x" * 2048)
    (folder / "A.txt").write_text("")
    (folder / "z").mkdir()
    (folder / "b.txt").chmod(0o640)
    os.utime(folder / "b.txt", (1_790_000_000, 1_790_000_000))
    page = look(client, job)
    assert names(page) == ["z", "A.txt", "b.txt"]
    line = page.context["lines"][2].entry
    assert (line.size, line.mode, line.modified_at.timestamp()) == (2048, "-rw-r-----", 1.79e9)
    assert "2\xa0KiB" in text(page)


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("sort=name&dir=desc", ["d", "c", "b", "a"]),
        ("sort=size", ["d", "b", "a", "c"]),
        ("sort=size&dir=desc", ["d", "c", "a", "b"]),
        ("sort=modified", ["d", "c", "b", "a"]),
        ("sort=nonsense&page=77", ["d", "a", "b", "c"]),
        ("page=%FF", ["d", "a", "b", "c"]),
    ],
)
def test_is_sorted_as_the_address_says(
    client: Client, job: Job, folder: Path, query: str, order: list[str]
) -> None:
    for number, (name, size) in enumerate((("a", 20), ("b", 10), ("c", 30))):
        (folder / name).write_bytes(b"x" * size)
        os.utime(folder / name, (0, 1000 - number))
    (folder / "d").mkdir()
    assert names(look(client, job, query)) == order


def test_hidden_files_are_left_out_until_wished_for(client: Client, job: Job, folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "train.py").touch()
    page = look(client, job)
    assert names(page) == ["train.py"]
    assert "Show 1 hidden" in " ".join(text(page).replace("</svg>", "").split())
    assert names(client.get(f"/jobs/{job.pk}/{page.context['toggle']}")) == [".git", "train.py"]


def test_is_paged(client: Client, job: Job, folder: Path) -> None:
    for number in range(130):
        (folder / f"{number:03}").touch()
    first = look(client, job)
    assert len(names(first)) == 100
    assert names(client.get(f"/jobs/{job.pk}/{first.context['next']}"))[0] == "100"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_opened_and_downloaded(
    client: Client, job: Job, folder: Path, name: bytes
) -> None:
    below = folder / os.fsdecode(name)
    below.mkdir()
    (below / os.fsdecode(name)).write_bytes(b"inside")
    page = look(client, job)
    assert "<img src" not in text(page)
    assert names(page) == [browse.shown(name)]
    inner = client.get(f"/jobs/{job.pk}/{page.context['lines'][0].href}")
    shown = client.get(f"/jobs/{job.pk}/{inner.context['lines'][0].href}")
    assert shown.context["preview"].text == "inside"
    assert [crumb for crumb, _ in shown.context["crumbs"]][1:] == [browse.shown(name)] * 2
    fetched = client.get(shown.context["download"])
    assert fetched.status_code == 200
    assert "\n" not in fetched.headers["Content-Disposition"]
    fetched.close()


def test_a_link_is_followed_only_inside(client: Client, job: Job, folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "a").touch()
    (folder.parent / "secret").mkdir()
    (folder / "inside").symlink_to("data")
    (folder / "outside").symlink_to("../secret")
    (folder / "beside").symlink_to(folder.parent / "mnist2")
    (folder.parent / "mnist2").mkdir()
    (folder / "nowhere").symlink_to("gone")
    page = look(client, job)
    targets = {line.name: line.target for line in page.context["lines"]}
    assert targets["outside"] == "../secret"
    assert names(look(client, job, "path=inside")) == ["a"]
    for query in ("path=outside", "path=beside", "path=..", "path=data/../../secret", "path=/etc"):
        refused = look(client, job, query)
        assert "lines" not in refused.context, query
    assert f"leads out of this folder, to {folder.parent}/secret" in text(
        look(client, job, "path=outside")
    )
    assert "is not on the machine" in text(look(client, job, "path=nowhere"))
    assert client.get(f"/jobs/{job.pk}/file?path=outside").status_code == 409


def test_the_jobs_own_folder_is_the_other_root(client: Client, job: Job, home: Path) -> None:
    assert "is not on the machine" in text(look(client, job, "root=job"))
    own = home / ".dgxsite/jobs" / str(job.pk)
    own.mkdir(parents=True)
    for name in ("command", "environment", "container.env", "log"):
        (own / name).write_text("HF_TOKEN=hunter22")
    assert names(look(client, job, "root=job")) == [
        "command",
        "container.env",
        "environment",
        "log",
    ]
    assert look(client, job, "root=job&path=command").context["preview"].text


@pytest.mark.parametrize("name", ["environment", "container.env", "config.json", "log"])
def test_what_holds_secrets_is_withheld_whichever_way_it_is_reached(
    client: Client, job: Job, home: Path, folder: Path, name: str
) -> None:
    own = home / ".dgxsite/jobs" / str(job.pk)
    own.mkdir(parents=True)
    (own / name).write_text("HF_TOKEN=hunter22")
    (own / "alias").symlink_to(name)
    job.project.resolved_path = str(home)
    job.project.save()
    through = quote(f".dgxsite/jobs/{job.pk}/{name}")
    for query in (f"root=job&path={name}", "root=job&path=alias", f"path={through}"):
        page = look(client, job, query)
        assert "may hold secret values" in text(page)
        assert "hunter22" not in text(page)
        assert client.get(f"/jobs/{job.pk}/file?{query}").status_code == 409
    # A project's own file of that name is no business of ours.
    (home / name).write_text("plain")
    assert look(client, job, f"path={name}").context["preview"].text == "plain"


@pytest.mark.parametrize(
    ("data", "why_not"),
    [(b"a\x00b", "It is not text."), (b"x" * (2**20 + 1), "It is larger than 1 MiB.")],
)
def test_what_is_no_small_text_is_only_downloaded(
    client: Client, job: Job, folder: Path, data: bytes, why_not: str
) -> None:
    (folder / "file").write_bytes(data)
    seen = look(client, job, "path=file")
    assert seen.context["preview"].why_not == why_not
    assert seen.context["preview"].text == ""
    assert "Download" in text(seen)


def test_a_text_is_shown_as_text(client: Client, job: Job, folder: Path) -> None:
    (folder / "x.html").write_bytes(b"<script>alert(1)</script>\x1b[31m\xff\r\nend")
    page = look(client, job, "path=x.html")
    assert page.context["preview"].text == "<script>alert(1)</script>�[31m�\nend"
    assert "<script>alert" not in text(page)


def test_a_download_is_the_bytes_and_is_audited(client: Client, job: Job, folder: Path) -> None:
    data = os.urandom(5 * 2**20 + 17)
    (folder / "weights.bin").write_bytes(data)
    answer = client.get(f"/jobs/{job.pk}/file?root=project&path=weights.bin")
    assert answer.headers["Content-Length"] == str(len(data))
    assert 'filename="weights.bin"' in answer.headers["Content-Disposition"]
    pieces = pieces_of(answer)
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 2**20
    assert AuditEvent.objects.get(action="job.file_download").detail["path"] == "weights.bin"


def pieces_of(answer: Any) -> list[bytes]:
    async def read() -> list[bytes]:
        return [piece async for piece in answer.streaming_content]

    return async_to_sync(read)()


@pytest.mark.django_db(transaction=True)  # closing an answer closes the database's link
def test_a_download_that_is_left_or_fails_ends_its_log_in(
    client: Client, job: Job, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []
    close = ssh.Session.close

    def closed(session: ssh.Session) -> None:
        ended.append(session)
        close(session)

    def break_off(file: browse.File, offset: int, length: int) -> bytes:
        raise OSError("the link broke")

    monkeypatch.setattr(ssh.Session, "close", closed)
    (folder / "weights.bin").write_bytes(b"x" * 3 * 2**20)
    answer = client.get(f"/jobs/{job.pk}/file?path=weights.bin")
    assert not ended
    answer.close()
    assert len(set(ended)) == 1
    monkeypatch.setattr(browse.File, "read", break_off)
    answer = client.get(f"/jobs/{job.pk}/file?path=weights.bin")
    with pytest.raises(OSError, match="broke"):
        pieces_of(answer)
    assert len(set(ended)) == 2


def test_files_are_for_operators(people: People, job: Job, folder: Path) -> None:
    (folder / "a").touch()
    page = look(people.guest, job)
    assert "Files need the role operator" in text(page)
    assert "lines" not in page.context
    assert people.guest.get(f"/jobs/{job.pk}/file?path=a").status_code == 403
    assert look(people.stranger, job).status_code == 404
    assert people.stranger.get(f"/jobs/{job.pk}/file?path=a").status_code == 404


def test_a_machine_that_is_off_leaves_a_sentence(
    client: Client, job: Job, server: sshd.Sshd
) -> None:
    server.stop()
    assert "No answer from this address" in text(look(client, job))
    job.connection.reason, job.connection.detail = "unreachable", "It was last seen on Monday."
    job.connection.save()
    assert "It was last seen on Monday." in text(look(client, job))


def test_looks_are_limited(client: Client, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "time", SimpleNamespace(time=lambda: 1_800_000_046.0))
    monkeypatch.setattr(files_access, "LOOKS_PER_MINUTE", 1)
    assert look(client, job).status_code == 200
    refused = look(client, job)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "14"


def test_a_missing_right_names_the_user_and_the_mode(job: Job) -> None:
    """A machine whose answer is `permission denied`: the tests' user may be root."""

    def deny(path: bytes) -> Any:
        raise PermissionError(13, "Permission denied")

    sftp: Any = SimpleNamespace(
        is_closed=False, entries=deny, stat=lambda path: SimpleNamespace(st_mode=0o040700)
    )
    tree = browse.Tree(sftp, "ml", b"/srv")
    with pytest.raises(browse.Refused) as refused:
        tree.folder(b"data")
    assert refused.value.detail == "The user ml may not read /srv/data (drwx------)."
