"""A network namespace as a machine room: one cable leads to it, and that can be cut or refused.

Every rule lives inside the namespace, so that nothing of it outlasts the namespace or touches the
host. Needs root, `ip`, `tc` and `iptables`.
"""

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import require_program

_PREFIX = "dgxfault"
_NAMESPACES = Path("/run/netns")
# Not a promise: a loaded machine takes its time.
_COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Network:
    """The room `name`, reached at `address`."""

    name: str
    address: str

    @classmethod
    def open(cls) -> "Network":
        """Make the room; skips (under CI fails) where that is not possible."""
        for program in ("ip", "tc", "iptables"):
            require_program(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        remove_abandoned()
        number = os.getpid()
        # A network of four addresses for each process that runs trials.
        third, fourth = divmod(number % 16_384, 64)
        ours, theirs = (f"10.99.{third}.{fourth * 4 + host}" for host in (1, 2))
        room = cls(f"{_PREFIX}{number}", theirs)
        outside, inside = _cable(room.name, "a"), _cable(room.name, "b")
        try:
            _ip("netns", "add", room.name)
            _ip("link", "add", outside, "type", "veth", "peer", inside, "netns", room.name)
            _ip("addr", "add", f"{ours}/30", "dev", outside)
            _ip("link", "set", outside, "up")
            _ip("-n", room.name, "addr", "add", f"{theirs}/30", "dev", inside)
            _ip("-n", room.name, "link", "set", inside, "up")
            _ip("-n", room.name, "link", "set", "lo", "up")
            room.heal()
        except subprocess.CalledProcessError as error:
            room.close()
            _missing(f"no network namespace can be made: {error.stderr.strip()}")
        return room

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a program that runs in the room."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Every packet vanishes, both ways; nobody is told."""
        self._rule("-A", "INPUT", "-j", "DROP")
        self._rule("-A", "OUTPUT", "-j", "DROP")

    def cut_towards(self) -> None:
        """What is sent to the room vanishes; the other way stays open."""
        self._rule("-A", "INPUT", "-j", "DROP")

    def refuse(self) -> None:
        """Every TCP packet to the room is answered by a reset."""
        self._rule("-A", "INPUT", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")

    def lose(self) -> None:
        """One packet of twenty vanishes, either way."""
        for chain in ("INPUT", "OUTPUT"):
            chance = ("-m", "statistic", "--mode", "random", "--probability", "0.05")
            self._rule("-A", chain, *chance, "-j", "DROP")

    def slow(self) -> None:
        """No more than 32 KB/s pass, either way, and what has to wait for 400 ms vanishes."""
        shape = ("root", "tbf", "rate", "256kbit", "burst", "8kb", "latency", "400ms")
        _tc("replace", "dev", _cable(self.name, "a"), *shape)
        _tc("-n", self.name, "replace", "dev", _cable(self.name, "b"), *shape)

    def cut_after(self, size: int) -> None:
        """Every connection dies in silence once it has carried so many bytes."""
        count = ("--connbytes", f"{size}:", "--connbytes-dir", "both", "--connbytes-mode", "bytes")
        self._rule("-A", "INPUT", "-m", "connbytes", *count, "-j", "DROP")

    def unplug(self) -> None:
        """The cable's far end goes down: no route, no neighbour."""
        _ip("-n", self.name, "link", "set", _cable(self.name, "b"), "down")

    def heal(self) -> None:
        self._rule("-F")
        _ip("-n", self.name, "link", "set", _cable(self.name, "b"), "up")
        with suppress(subprocess.CalledProcessError):  # nothing was slow
            _tc("del", "dev", _cable(self.name, "a"), "root")
            _tc("-n", self.name, "del", "dev", _cable(self.name, "b"), "root")

    def close(self) -> None:
        """Remove the cable, and the room as soon as nobody runs in it."""
        for words in (("link", "del", _cable(self.name, "a")), ("netns", "del", self.name)):
            with suppress(subprocess.CalledProcessError):
                _ip(*words)

    def _rule(self, *words: str) -> None:
        _ip("netns", "exec", self.name, "iptables", "-w", *words)


def remove_abandoned() -> None:
    """Remove the rooms of processes that were killed."""
    for path in _NAMESPACES.glob(f"{_PREFIX}*"):
        pid = path.name.removeprefix(_PREFIX)
        if pid.isdigit() and not Path("/proc", pid).exists():
            Network(path.name, "").close()


def _cable(room: str, end: str) -> str:
    """The name of one end of the cable; the kernel takes 15 characters."""
    return f"df{room.removeprefix(_PREFIX)}{end}"


def _ip(*words: str) -> None:
    _run("ip", *words)


def _tc(*words: str) -> None:
    """Its `-n ROOM` comes before `qdisc`, as `ip` has it before the object."""
    room = words[:2] if words[0] == "-n" else ()
    _run("tc", *room, "qdisc", *words[len(room) :])


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=_COMMAND_SECONDS)


def _missing(message: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
