"""Files put onto a machine, over a real OpenSSH server: whole, or not there."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connections import ssh
from connections.files import upload
from connections.ssh.sftp import Sftp
from core.errors import Invalid
from tests import sshd
from tests.connections.test_ssh import target
from tests.mounts import small_disk


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


DATA = os.urandom(700_001)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_stores_below_the_home_and_tells_the_digest(session: ssh.Session, home: Path) -> None:
    sent: list[int] = []
    stored = upload.put_over(session, "~/projects/exports", "a.json", DATA, progress=sent.append)
    assert stored.path == str(home / "projects/exports/a.json")
    assert (home / "projects/exports/a.json").read_bytes() == DATA
    assert stored.sha256 == hashlib.sha256(DATA).hexdigest()
    assert sum(sent) == len(DATA)
    assert names(home / "projects/exports") == ["a.json"]


def test_all_may_have_been_read_before_all_was_asked_for(
    session: ssh.Session, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said by a thread that asks on when the channel is closed (pytest would fail)."""
    asking: set[threading.Thread] = set()

    def slowly(self: Sftp, *arguments: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            asking.add(threading.current_thread())
            time.sleep(0.05)
        return asked(self, *arguments)

    asked = Sftp._async_request  # type: ignore[attr-defined]
    monkeypatch.setattr(Sftp, "_async_request", slowly)
    stored = upload.put_over(session, "~", "a", DATA * 4)
    assert stored.sha256 == hashlib.sha256(DATA * 4).hexdigest()
    assert asking
    for thread in asking:
        thread.join(30)


def test_replaces_a_file_of_that_name(session: ssh.Session, home: Path) -> None:
    for data in (b"first", b""):
        upload.put_over(session, "~", "a", data)
        assert (home / "a").read_bytes() == data


@pytest.mark.parametrize("name", ["$(touch x)", "`id`;rm -rf ~", "a\nEOF\nb", "-rf", "ü 'q' \"d\""])
def test_a_name_never_acts(session: ssh.Session, home: Path, name: str) -> None:
    stored = upload.put_over(session, f"{home}/{name}", name, b"data")
    assert Path(stored.path).read_bytes() == b"data"
    assert names(home) == [name]


def test_a_full_disk_is_said_and_leaves_nothing(session: ssh.Session, home: Path) -> None:
    with small_disk(home / "small") as disk:
        with pytest.raises(upload.NotStored, match="disk of the machine is full"):
            upload.put_over(session, str(disk / "deep"), "a.json", DATA)
        assert names(disk / "deep") == []


def test_a_disk_without_inodes_leaves_nothing(session: ssh.Session, home: Path) -> None:
    with small_disk(home / "small", options=",nr_inodes=2") as disk:
        with pytest.raises(upload.NotStored):
            upload.put_over(session, str(disk / "deep"), "a.json", DATA)
        assert not list(disk.rglob("*.json"))


def test_a_file_in_the_way_of_a_folder(session: ssh.Session, home: Path) -> None:
    (home / "projects").write_text("not a folder")
    with pytest.raises(upload.NotStored, match="not a folder"):
        upload.put_over(session, "~/projects/exports", "a.json", b"data")


def test_no_right_is_said(tmp_path: Path, home: Path) -> None:
    options = {"Subsystem": f"sftp internal-sftp -R -d {home}"}  # answers "permission denied"
    server = sshd.start(tmp_path / "sshd", options=options)
    try:
        with (
            ssh.open_session(target(server)) as session,
            pytest.raises(upload.NotStored, match="may not make a folder in"),
        ):
            upload.put_over(session, "~/projects/exports", "a.json", b"data")
    finally:
        server.stop()


def test_a_machine_without_sftp(tmp_path: Path) -> None:
    server = sshd.start(tmp_path / "sshd", options={"Subsystem": "other /bin/false"})
    try:
        with (
            ssh.open_session(target(server)) as session,
            pytest.raises(upload.NotStored, match="offers no SFTP"),
        ):
            upload.put_over(session, "~", "a.json", b"data")
    finally:
        server.stop()


def test_a_link_that_drops_leaves_no_file_of_that_name(
    server: sshd.Sshd, session: ssh.Session, home: Path
) -> None:
    with pytest.raises(upload.NotStored, match="link to the machine broke"):
        upload.put_over(session, "~", "a.json", DATA, progress=lambda _: server.stop())
    assert not (home / "a.json").exists()


def test_a_frozen_machine_ends_at_the_deadline(
    server: sshd.Sshd, session: ssh.Session, home: Path
) -> None:
    def freeze(_: int) -> None:
        server.signal_all(signal.SIGSTOP)

    with pytest.raises(upload.NotStored, match="link to the machine broke"):
        upload.put_over(session, "~", "a.json", DATA, timeout=1.0, progress=freeze)
    server.signal_all(signal.SIGCONT)
    assert not (home / "a.json").exists()


@pytest.mark.parametrize("phase", ["before", "writing", "reading back"])
def test_a_machine_that_freezes_in_the_copy_is_left_after_a_while_without_progress(
    server: sshd.Sshd,
    session: ssh.Session,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    phase: str,
) -> None:
    monkeypatch.setattr(upload, "STILL_SECONDS", 1.0)

    def freeze(*_: object) -> None:
        server.signal_all(signal.SIGSTOP)

    if phase == "reading back":
        digest = upload._digest

        def freeze_then_read(*arguments: Any) -> str:
            freeze()
            return digest(*arguments)

        monkeypatch.setattr(upload, "_digest", freeze_then_read)
    if phase == "before":
        freeze()
    listener = freeze if phase == "writing" else lambda _: None
    began = time.monotonic()
    with pytest.raises(upload.NotStored, match="stood still: nothing moved for 1 s"):
        upload.put_over(session, "~", "a.json", 40 * DATA, progress=listener)
    assert time.monotonic() - began < 15
    server.signal_all(signal.SIGCONT)
    assert not (home / "a.json").exists()


def test_a_slow_machine_is_waited_for_as_long_as_it_goes_on(
    session: ssh.Session, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "STILL_SECONDS", 1.0)
    monkeypatch.setattr(upload, "PIECE_BYTES", 1024)

    def linger(_: int) -> None:
        time.sleep(0.2)

    upload.put_over(session, "~", "a.json", DATA[: 10 * 1024], progress=linger)
    assert (home / "a.json").exists()


def test_who_listens_may_stop_it(session: ssh.Session, home: Path) -> None:
    class Cancelled(Exception):
        pass

    def stop(_: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        upload.put_over(session, "~", "a.json", DATA, progress=stop)
    assert names(home) == []


@pytest.mark.parametrize("text", ["~", "~/", "~/a b", "/", "/srv/$(id)", "~/…"])
def test_grammar_of_a_folder(text: str) -> None:
    assert upload.check_directory(text, "remote_directory") == text


@pytest.mark.parametrize(
    "text",
    ["", "a", "./a", "~root/a", "~/../x", "/a/..", "/a\nb", "/\x00", "/" + "a" * 256, "/a" * 999],
)
def test_refused_folders(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        upload.check_directory(text, "remote_directory")
    assert caught.value.errors[0].field == "remote_directory"
