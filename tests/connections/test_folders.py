"""Folders of a machine, over a real OpenSSH server: found, checked, made, and never guessed."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connections import ssh
from connections.files import folders
from core.errors import Invalid
from tests import sshd
from tests.connections.test_ssh import target


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
def session(server: sshd.Sshd) -> Iterator[ssh.Session]:
    with ssh.open_session(target(server)) as opened:
        yield opened


def look(session: ssh.Session, text: str, *, create: bool = False) -> str:
    return folders.look_over(session, text, "ml", create=create)


def test_every_way_to_write_a_folder(session: ssh.Session, home: Path) -> None:
    (home / "a" / "b").mkdir(parents=True)
    for text in ("~/a/b", "a/b", "./a//b/", "~//a/./b", f"{home}/a/b", f"/{home}/a/b"):
        assert look(session, text) == f"{home}/a/b"
    assert look(session, "~") == look(session, "~/") == look(session, ".") == str(home)


@pytest.mark.parametrize(
    "name",
    ["~root", "$HOME", "$(touch x)", "`id`;rm -rf ~", "-rf", "...", "a\\..\\b", "%2e%2e%2f", "ü é"],
)
def test_a_name_means_itself(session: ssh.Session, home: Path, name: str) -> None:
    assert look(session, name, create=True) == f"{home}/{name}"
    assert [path.name for path in home.iterdir()] == [name]


def test_makes_what_is_missing_and_touches_nothing_else(session: ssh.Session, home: Path) -> None:
    (home / "a").mkdir()
    (home / "a" / "kept").write_text("kept")
    assert look(session, "~/a/b/c", create=True) == f"{home}/a/b/c"
    assert look(session, "~/a/b/c", create=True) == f"{home}/a/b/c"
    assert (home / "a" / "kept").read_text() == "kept"


def test_what_is_missing_can_be_made_and_is_not(session: ssh.Session, home: Path) -> None:
    with pytest.raises(folders.NoFolder, match="is not on the machine") as refused:
        look(session, "~/missing")
    assert refused.value.can_be_made
    assert list(home.iterdir()) == []


def test_a_file_is_no_folder(session: ssh.Session, home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(folders.NoFolder, match="is not a folder"):
        look(session, "~/file")
    with pytest.raises(folders.NoFolder, match="could not make a folder"):
        look(session, "~/file/below", create=True)


def test_links_are_followed_and_circles_are_said(session: ssh.Session, home: Path) -> None:
    (home / "data").mkdir()
    (home / "link").symlink_to(home / "data")
    assert look(session, "~/link") == f"{home}/link"
    (home / "one").symlink_to(home / "two")
    (home / "two").symlink_to(home / "one")
    (home / "nowhere").symlink_to(home / "gone")
    for name in ("one", "nowhere"):
        with pytest.raises(folders.NoFolder, match="leads nowhere, or in a circle") as refused:
            look(session, f"~/{name}")
        assert not refused.value.can_be_made


def test_a_folder_that_may_not_be_read_names_the_user_and_the_bits() -> None:
    """Root reads everything, so the machine's refusals are put in its place here."""

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    closed: Any = SimpleNamespace(
        stat=lambda path: SimpleNamespace(st_mode=0o40700), check_listable=refuse
    )
    with pytest.raises(folders.NoFolder, match=r"The user ml may not read /data \(drwx------\)\."):
        folders.look(closed, "/data", "ml")
    closed.stat = refuse
    closed.lstat = refuse
    with pytest.raises(folders.NoFolder, match="The user ml may not enter a folder above /data"):
        folders.look(closed, "/data", "ml")


@pytest.mark.parametrize("home", ["", "relative", "/a\nb", "/a\x1b[2J", None])
def test_a_hostile_home_is_not_used(home: str | None) -> None:
    strange: Any = SimpleNamespace(normalize=lambda path: home)
    with pytest.raises(folders.NoFolder, match="home folder"):
        folders.look(strange, "~/x", "ml")


def test_a_path_that_grows_too_long_with_the_home(session: ssh.Session) -> None:
    deep: Any = SimpleNamespace(normalize=lambda path: "/h" * 2000)
    with pytest.raises(folders.NoFolder, match="longer than 4096"):
        folders.look(deep, "x/" * 300, "ml")


def test_a_server_without_sftp_is_not_reached(tmp_path: Path) -> None:
    server = sshd.start(tmp_path / "sshd", options={"Subsystem": "sftp /bin/false"})
    try:
        with (
            ssh.open_session(target(server)) as session,
            pytest.raises(folders.NotReached, match="offers no SFTP"),
        ):
            look(session, "~")
    finally:
        server.stop()


def test_a_link_that_breaks_is_not_the_machines_no(server: sshd.Sshd) -> None:
    with ssh.open_session(target(server)) as session:
        server.stop()
        with pytest.raises(folders.NotReached):
            look(session, "~/x")


def test_the_sites_own_machine_answers_alike(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HOME", str(home))
    here = folders._Here()
    assert folders.look(here, "~/a/b", "of this site", create=True) == f"{home}/a/b"
    with pytest.raises(folders.NoFolder, match="is not on the machine"):
        folders.look(here, "~/c", "of this site")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "../../etc/passwd",
        "a/../b",
        "..",
        "~/a\nb",
        "/a\x00",
        "/a\u202eb",
        "/" + "x" * 256,
        "x" * 1025,
        "\ud800",
    ],
)
def test_what_cannot_name_a_folder_is_refused_before_any_machine_is_asked(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        folders.check_path(text, "remote_path")
    assert refused.value.errors[0].field == "remote_path"
