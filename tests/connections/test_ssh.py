"""Sessions, commands and streams against a real OpenSSH server."""

import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connections import ssh
from connections.ssh.reader import StreamReader
from tests import sshd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd"))
    yield running
    running.stop()


@pytest.fixture
def session(server: sshd.Sshd) -> Iterator[ssh.Session]:
    with ssh.open_session(target(server)) as opened:
        yield opened


def target(server: sshd.Sshd, **changes: object) -> ssh.Target:
    values: dict[str, object] = {
        "hostname": "localhost",
        "port": server.port,
        "username": server.user,
        "credentials": ssh.Credentials(private_key=server.client_key),
        "address": "127.0.0.1",
        "host_key": server.host_key_fingerprint,
    }
    return ssh.Target(**(values | changes))  # type: ignore[arg-type]


def refused(server: sshd.Sshd, **changes: object) -> ssh.ConnectError:
    with pytest.raises(ssh.ConnectError) as caught:
        ssh.open_session(target(server, **changes), timeout=10).close()
    return caught.value


def test_runs_a_command(session: ssh.Session) -> None:
    result = session.run("echo out; echo err >&2; exit 3", timeout=10)
    assert (result.exit_status, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert not result.truncated


def test_hands_stdin_to_the_command(session: ssh.Session) -> None:
    assert session.run("cat", timeout=10, stdin=b"a" * 300_000).stdout == b"a" * 300_000


def test_reads_both_streams_of_a_loud_command_and_keeps_the_limit(
    session: ssh.Session,
) -> None:
    command = "head -c 6000000 /dev/zero; head -c 6000000 /dev/zero >&2"
    result = session.run(command, timeout=30, limit=1000)
    assert (len(result.stdout), len(result.stderr), result.truncated) == (1000, 1000, True)
    assert result.exit_status == 0


def test_a_command_killed_by_a_signal_has_no_exit_status(session: ssh.Session) -> None:
    assert session.run("kill -9 $$", timeout=10).exit_status is None


def test_a_command_ends_at_its_deadline_and_the_session_lives_on(
    session: ssh.Session,
) -> None:
    started = time.monotonic()
    with pytest.raises(ssh.CommandTimeout):
        session.run("sleep 60", timeout=0.3)
    with pytest.raises(ssh.CommandTimeout):
        session.run("yes", timeout=0.3)
    assert time.monotonic() - started < 5
    assert session.run("echo still here", timeout=10).stdout == b"still here\n"


def test_a_command_that_closes_its_outputs_and_goes_on_costs_no_processor(
    session: ssh.Session,
) -> None:
    before = time.process_time()
    result = session.run("exec 1>&- 2>&-; sleep 2; exit 3", timeout=20)
    assert result.exit_status == 3
    assert time.process_time() - before < 0.5
    with pytest.raises(ssh.CommandTimeout):
        session.run("exec 1>&- 2>&-; sleep 60", timeout=1)


def test_a_frozen_server_costs_no_more_than_the_deadline(tmp_path: Path) -> None:
    server = sshd.start(tmp_path)
    try:
        session = ssh.open_session(target(server))
        server.signal_all(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(ssh.SessionLost):
            session.run("true", timeout=0.5)
        assert time.monotonic() - started < 5
        started = time.monotonic()
        session.close()
        assert time.monotonic() - started < 1
        with pytest.raises(ssh.ConnectError) as caught:
            ssh.open_session(target(server), timeout=1)
        assert caught.value.reason == "ssh_unresponsive"
    finally:
        server.stop()


def test_a_stream_delivers_bytes_as_they_come_and_its_end(session: ssh.Session) -> None:
    drain = StreamReader(lambda: None)
    drain.start()
    events: queue.Queue[object] = queue.Queue()
    stream = session.open_stream(
        drain, "cat; exit 7", b"first", on_data=events.put, on_close=events.put
    )
    assert events.get(timeout=10) == b"first"
    stream.send(b"second")
    assert events.get(timeout=10) == b"second"
    stream.close()
    # The machine may still say how the command ended before the channel is gone.
    assert events.get(timeout=10) in {None, 7}
    drain.stop()


def test_an_endless_stream_does_not_starve_the_others(session: ssh.Session) -> None:
    drain = StreamReader(lambda: None)
    drain.start()
    loud = session.open_stream(
        drain, "yes", b"", on_data=lambda data: None, on_close=lambda status: None
    )
    heard = threading.Event()
    quiet = session.open_stream(
        drain, "sleep 0.3; echo hi", b"", on_data=lambda data: heard.set(), on_close=lambda s: None
    )
    assert heard.wait(10)
    loud.close()
    quiet.close()
    drain.stop()


def test_stderr_without_end_does_not_stop_a_stream(session: ssh.Session) -> None:
    drain = StreamReader(lambda: None)
    drain.start()
    received: queue.Queue[bytes] = queue.Queue()
    stream = session.open_stream(
        drain,
        "head -c 9000000 /dev/zero >&2; echo done",
        b"",
        on_data=received.put,
        on_close=lambda status: None,
    )
    assert received.get(timeout=30) == b"done\n"
    stream.close()
    drain.stop()


def test_shows_the_offered_key_when_none_is_accepted(server: sshd.Sshd) -> None:
    error = refused(server, host_key="")
    assert error.reason == "host_key_unknown"
    assert error.offered_host_key == server.host_key_fingerprint
    assert error.host_key_type == "ssh-ed25519"


def test_sends_no_credential_to_a_changed_key(tmp_path: Path) -> None:
    server = sshd.start(tmp_path)
    try:
        error = refused(server, host_key="SHA256:" + "A" * 43)
        assert error.reason == "host_key_changed"
        assert error.offered_host_key == server.host_key_fingerprint
        assert "userauth" not in server.log.lower()
        assert "accepted" not in server.log.lower()
    finally:
        server.stop()


def test_finds_the_pinned_key_among_several_of_the_server(tmp_path: Path) -> None:
    rsa = tmp_path / "rsa_key"
    sshd.make_key(rsa, "rsa")
    server = sshd.start(tmp_path / "server", options={"HostKey ": str(rsa)})
    try:
        with ssh.open_session(target(server, host_key=sshd.key_fingerprint(rsa))) as session:
            assert session.host_key_type == "ssh-rsa"
    finally:
        server.stop()


def test_says_when_the_key_is_refused(server: sshd.Sshd, tmp_path: Path) -> None:
    sshd.make_key(tmp_path / "other")
    other = (tmp_path / "other").read_text()
    error = refused(server, credentials=ssh.Credentials(private_key=other))
    assert error.reason == "auth_failed"


def test_says_when_passwords_are_not_taken(server: sshd.Sshd) -> None:
    error = refused(server, credentials=ssh.Credentials(password="secret-word"))
    assert (error.reason, "publickey" in error.detail) == ("auth_failed", True)
    assert "secret-word" not in str(error)


def test_says_unreachable_when_nobody_listens(server: sshd.Sshd) -> None:
    assert refused(server, port=sshd.free_port()).reason == "unreachable"


def test_says_unresponsive_without_repeating_what_the_peer_said(server: sshd.Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"220 SECRET-BANNER ESMTP\r\n" * 50)

        threading.Thread(target=answer, daemon=True).start()
        error = refused(server, port=listener.getsockname()[1])
    assert error.reason == "ssh_unresponsive"
    assert "SECRET" not in error.detail


def test_gives_up_on_a_silent_peer_before_the_deadline(server: sshd.Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(ssh.ConnectError) as caught:
            ssh.open_session(target(server, port=listener.getsockname()[1]), timeout=1.5)
        assert time.monotonic() - started < 5
    assert caught.value.reason == "ssh_unresponsive"


def test_refuses_a_server_with_outdated_algorithms_only(tmp_path: Path) -> None:
    server = sshd.start(tmp_path, options={"Ciphers": "aes128-cbc"})
    try:
        error = refused(server)
        assert error.reason == "ssh_unresponsive"
        assert "no algorithm" in error.detail
    finally:
        server.stop()


def test_goes_through_a_jump_host(server: sshd.Sshd, tmp_path: Path) -> None:
    inner = sshd.start(tmp_path)
    try:
        through = ssh.Target(
            hostname="127.0.0.1",
            port=inner.port,
            username=inner.user,
            credentials=ssh.Credentials(private_key=inner.client_key),
            host_key=inner.host_key_fingerprint,
            jump=target(server),
        )
        with ssh.open_session(through) as session:
            assert session.run("echo through", timeout=10).stdout == b"through\n"
            assert session.host_key == inner.host_key_fingerprint
    finally:
        inner.stop()


def test_a_stranger_behind_the_jump_host_key_is_not_trusted(server: sshd.Sshd) -> None:
    error = refused(server, jump=target(server, host_key="SHA256:" + "B" * 43))
    assert error.reason == "unreachable"
    assert "Jump host" in error.detail


def test_no_thread_is_left_after_many_sessions(server: sshd.Sshd) -> None:
    before = threading.active_count()
    for _ in range(10):
        ssh.open_session(target(server)).close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before + 1
