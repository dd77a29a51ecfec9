"""What names resolve to, and what is refused."""

import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from core.security import address_policy
from core.security.address_policy import RefusedAddress, Unresolvable
from dgxsite import checks


def answers(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """Let the name server give these addresses: the one call that leaves the process."""
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 22)) for text in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: rows)


def hang(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the name server hang; the result lets it go and waits for who waited for it."""
    event = threading.Event()
    before = set(threading.enumerate())

    def never(*args: Any, **kwargs: Any) -> list[Any]:
        event.wait(20)
        return []

    def release() -> None:
        event.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(5)

    monkeypatch.setattr(socket, "getaddrinfo", never)
    return release


def test_a_public_and_a_loopback_answer_refuse_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "203.0.113.5", "127.0.0.1")
    with pytest.raises(RefusedAddress):
        address_policy.pin("two-faced.example", 22)


@pytest.mark.parametrize("local", ["169.254.1.2", "fe80::1", "169.254.169.254"])
def test_link_local_answers_are_dropped(monkeypatch: pytest.MonkeyPatch, local: str) -> None:
    answers(monkeypatch, local, "192.168.1.5")
    assert address_policy.pin("spark.example", 22) == "192.168.1.5"
    answers(monkeypatch, local)
    with pytest.raises(RefusedAddress):
        address_policy.pin("spark.example", 22)


def test_the_first_answer_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "10.0.0.2", "10.0.0.1", "10.0.0.2")
    assert address_policy.resolve("spark.example", 22) == ["10.0.0.2", "10.0.0.1"]
    assert address_policy.pin("spark.example", 22) == "10.0.0.2"


def test_a_literal_asks_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    assert address_policy.pin("10.0.0.2", 22) == "10.0.0.2"


@pytest.mark.parametrize("allowed", [True, False])
def test_loopback_only_where_it_is_allowed(settings: Any, allowed: bool) -> None:
    settings.ALLOW_LOOPBACK = allowed
    if allowed:
        assert address_policy.allowed(["127.0.0.1", "::1"]) == ["127.0.0.1", "::1"]
        return
    with pytest.raises(RefusedAddress):
        address_policy.allowed(["::1"])


def test_allowing_loopback_allows_nothing_else(settings: Any) -> None:
    settings.ALLOW_LOOPBACK = True
    for address in ("0.0.0.0", "224.0.0.1", "169.254.169.254", "100.100.100.200", "::"):
        with pytest.raises(RefusedAddress):
            address_policy.allowed([address])


def test_own_services_are_refused_even_on_loopback(settings: Any) -> None:
    settings.ALLOW_LOOPBACK = True
    settings.REDIS_URL = "redis://127.0.0.1:6399/0"
    with pytest.raises(RefusedAddress):
        address_policy.pin("127.0.0.1", 6399)
    with pytest.raises(RefusedAddress):
        address_policy.pin("::ffff:127.0.0.1", 6399)
    assert address_policy.pin("127.0.0.1", 2222) == "127.0.0.1"


def test_a_name_server_that_hangs_costs_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    release = hang(monkeypatch)
    monkeypatch.setattr(address_policy, "RESOLVE_SECONDS", 0.1)
    began = time.monotonic()
    with pytest.raises(Unresolvable):
        address_policy.resolve("slow.example", 22)
    assert time.monotonic() - began < 2
    release()


def test_many_hanging_lookups_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = hang(monkeypatch)
    monkeypatch.setattr(address_policy, "RESOLVE_SECONDS", 0.01)
    monkeypatch.setattr(address_policy, "_LOOKUPS", threading.BoundedSemaphore(3))
    before = threading.active_count()
    for _ in range(10):
        with pytest.raises(Unresolvable):
            address_policy.resolve("slow.example", 22)
    assert threading.active_count() - before <= 3
    release()


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.20.3.4", True),
        ("10.21.0.1", False),
        ("203.0.113.5", False),
        ("fd00:1::7", True),
        ("fd00:2::7", False),
        ("::ffff:10.20.3.4", True),
        ("169.254.169.254", False),
        ("127.0.0.1", False),
    ],
)
def test_a_list_of_networks_leaves_no_other(settings: Any, address: str, is_allowed: bool) -> None:
    settings.ALLOWED_NETWORKS = ["10.20.0.0/16", "fd00:1::/64", "127.0.0.0/8", "169.254.0.0/16"]
    if is_allowed:
        assert ip_address(address_policy.pin(address, 22)) == ip_address(address)
    else:
        with pytest.raises(RefusedAddress):
            address_policy.pin(address, 22)


def test_a_name_with_one_address_outside_the_list_is_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALLOWED_NETWORKS = ["10.20.0.0/16"]
    answers(monkeypatch, "10.20.3.4", "203.0.113.5")
    with pytest.raises(RefusedAddress, match="settings name"):
        address_policy.pin("two.example", 22)


@pytest.mark.parametrize("text", ["10.20.0.0/33", "10.20.0.1/16", "lab.example", "*"])
def test_start_refuses_what_is_no_network(settings: Any, text: str) -> None:
    assert checks.allowed_networks(None) == []
    settings.ALLOWED_NETWORKS = [text]
    assert [found.id for found in checks.allowed_networks(None)] == ["dgxsite.E003"]


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), OSError("broken")])
def test_no_answer_is_unresolvable(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unresolvable):
        address_policy.resolve("nowhere.example", 22)


def test_refusals_take_equal_time() -> None:
    """Whoever times the answers learns nothing about why an address is refused."""
    times = []
    for address in ("127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0") * 50:
        began = time.thread_time()
        with pytest.raises(RefusedAddress):
            address_policy.pin(address, 22)
        times.append(time.thread_time() - began)
    times.sort()
    assert times[int(len(times) * 0.95)] - times[0] < 0.05
