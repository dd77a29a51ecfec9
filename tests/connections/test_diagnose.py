"""Testing a machine step by step, against a real OpenSSH server."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connections import diagnose
from connections.models import Connection
from tests import factories, sshd

FINGERPRINT = "SHA256:" + "A" * 43
TOOLS = {
    "nvidia-smi": 'echo "GPU 0: NVIDIA GB10 (UUID: GPU-1)"',
    "docker": 'echo "permission denied while trying to connect" >&2; exit 1',
    "curl": "exit 7",
    "wget": "exit 4",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    tools = tmp_path_factory.mktemp("tools")
    for name, script in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    running = sshd.start(
        tmp_path_factory.mktemp("sshd"), environment={"PATH": f"{tools}:/usr/bin:/bin"}
    )
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _loopback(settings: Any, db: None) -> None:
    settings.ALLOW_LOOPBACK = True


def machine(server: sshd.Sshd, **fields: Any) -> Connection:
    values: dict[str, Any] = {
        "hostname": "127.0.0.1",
        "port": server.port,
        "username": server.user,
        "host_key": server.host_key_fingerprint,
    }
    row = factories.make_connection(**(values | fields))
    row.set_secret("private_key", server.client_key)
    return row


def failed(result: dict[str, Any]) -> dict[str, Any]:
    """The one step that failed, which is the last."""
    assert result["ok"] is False
    bad: list[dict[str, Any]] = [step for step in result["steps"] if not step["ok"]]
    assert bad == [result["steps"][-1]]
    assert bad[0]["hint"]
    return bad[0]


def test_goes_through_all_steps(server: sshd.Sshd) -> None:
    result = diagnose.run_steps(machine(server))
    states = {step["name"]: step["ok"] for step in result["steps"]}
    assert list(states) == [
        "resolve", "tcp", "host_key", "auth", "shell", "gpu", "docker", "ollama"
    ]  # fmt: skip
    assert result["ok"] is True
    assert [name for name, ok in states.items() if not ok] == ["docker", "ollama"]
    by_name = {step["name"]: step for step in result["steps"]}
    assert by_name["gpu"]["detail"] == "1 NVIDIA GPU."
    assert "usermod" in by_name["docker"]["hint"]


def test_an_unknown_host_key_ends_it_before_any_credential(server: sshd.Sshd) -> None:
    before = server.log.count("Failed") + server.log.count("Accepted")
    step = failed(diagnose.run_steps(machine(server, host_key="")))
    assert step["name"] == "host_key"
    assert server.host_key_fingerprint in step["detail"]
    assert "accept" in step["hint"]
    assert server.log.count("Failed") + server.log.count("Accepted") == before


def test_a_changed_host_key_ends_it(server: sshd.Sshd) -> None:
    step = failed(diagnose.run_steps(machine(server, host_key=FINGERPRINT)))
    assert (step["name"], server.host_key_fingerprint in step["detail"]) == ("host_key", True)


def test_a_refused_login_is_told_apart(server: sshd.Sshd) -> None:
    step = failed(diagnose.run_steps(machine(server, username="nobody-of-this-name")))
    assert (step["name"], "authorized_keys" in step["hint"]) == ("auth", True)


def test_names_and_addresses_are_judged_first(server: sshd.Sshd, settings: Any) -> None:
    step = failed(diagnose.run_steps(machine(server, hostname="nowhere.invalid")))
    assert step["name"] == "resolve"
    settings.ALLOW_LOOPBACK = False
    step = failed(diagnose.run_steps(machine(server)))
    assert (step["name"], "Loopback" in step["detail"]) == ("resolve", True)


def test_closed_and_filtered_ports_look_and_last_the_same(
    server: sshd.Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnose, "TCP_SECONDS", 0.3)
    closed_port = sshd.free_port()
    details, times = set(), []
    with socket.socket() as full:
        # A backlog that is full swallows further attempts, as a firewall does.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        for port in (closed_port, full.getsockname()[1]):
            began = time.monotonic()
            step = failed(diagnose.run_steps(machine(server, port=port, name=f"m{port}")))
            times.append(time.monotonic() - began)
            details.add((step["detail"].replace(str(port), "N"), step["hint"]))
        for one in waiting:
            one.close()
    assert len(details) == 1
    assert abs(times[0] - times[1]) < 0.2


def test_something_that_is_no_ssh_server_is_not_echoed(server: sshd.Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.listen()
        import threading

        def greet() -> None:
            for _ in range(2):
                one, _ = listener.accept()
                one.sendall(b"HTTP/1.1 400 canary-of-the-peer\r\n\r\n")
                one.close()

        threading.Thread(target=greet, daemon=True).start()
        result = diagnose.run_steps(machine(server, port=listener.getsockname()[1]))
    assert failed(result)["name"] == "host_key"
    assert "canary" not in str(result)


def test_a_key_that_cannot_be_opened_is_said(server: sshd.Sshd, tmp_path: Path) -> None:
    row = machine(server)
    row.set_secret("private_key", "garbage")
    step = failed(diagnose.run_steps(row))
    assert step["name"] == "auth"
