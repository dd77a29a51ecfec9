"""One simulated machine: its folder, its SSH port, its processes, its state from second to second.

A machine only touches its own folder and the processes it started.
"""

import asyncio
import contextlib
import dataclasses
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncssh

from simulator import physics, procfs, statefiles
from simulator.keys import kept_key
from simulator.link import Link, Wire
from simulator.processes import MARK, kill_processes_of, serve_process
from simulator.profiles import PROFILES, Profile
from simulator.sshserver import Door, Journal, options
from simulator.stubs import Stubs
from simulator.tools import containers
from simulator.tools.launch import PYTHON_TOOLS, SYSTEM_PATH, install

_LISTEN_BACKLOG = 128


@dataclass(frozen=True)
class MachineSpec:
    """What machine is wanted. Port 0 takes a free one; without a password only keys open it."""

    name: str
    profile: str = "dgx-spark"
    address: str = "127.0.0.1"
    port: int = 0
    username: str = "sim"
    authorized_keys: tuple[str, ...] = ()
    password: str | None = None
    seed: int = 1
    login_shell: str = "/bin/sh"
    hangs_up: bool = True
    warm_seconds: int = 90
    environment: Mapping[str, str] = field(default_factory=dict)


class Machine:
    """A machine that can be opened, logged into, broken (see `simulator.faults`) and closed."""

    def __init__(self, spec: MachineSpec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.home = folder / "home"
        self.bin = folder / "bin"
        self.root = folder / "root"
        self.state = folder / "state"
        self.profile = _with_real_interfaces(PROFILES[spec.profile])
        self.journal = Journal()
        self.wire = Wire()
        self.shell: list[str] = [spec.login_shell]
        self.port = spec.port
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._last_tick = time.monotonic()

    async def open(self) -> None:
        """Prepare the folder and listen. A port that is taken meanwhile raises `OSError`."""
        self._prepare()
        self.body = physics.create(self.profile, self.spec.seed, time.time())
        for _ in range(self.spec.warm_seconds):
            physics.advance(self.body, 1.0)
        self.write_boot()
        self._stubs = Stubs({MARK: str(self.folder)})
        self._last_tick = time.monotonic()
        self.show()
        self.door = Door(
            self.spec.username,
            [asyncssh.import_public_key(line) for line in self.spec.authorized_keys],
            self.spec.password,
        )
        self.own_host_key = kept_key(self.folder / "host_key")
        self.use_host_key(self.own_host_key)
        self.listen()

    async def close(self) -> None:
        """Stop listening, cut every connection, kill every process of this machine."""
        self.stop_listening()
        links = list(self._links.values())
        self.cut_links()
        # A frozen wire would hold back the end of its connections.
        self.wire.flowing.set()
        await asyncio.gather(*links, return_exceptions=True)
        self._stubs.end()
        kill_processes_of(self.folder)

    def tick(self) -> None:
        """Let the time since the last tick pass and show the result."""
        now = time.monotonic()
        physics.advance(self.body, now - self._last_tick)
        self._last_tick = now
        self.show()

    def show(self) -> None:
        """Write the present state for the tools."""
        self._stubs.follow(self.body)
        statefiles.write_moving(self.body, self.root, self.state)

    def write_boot(self) -> None:
        """Write the files that change with a reboot."""
        statefiles.write_fixed(self.body, self.spec.name, self.root)

    @property
    def is_listening(self) -> bool:
        """Whether the SSH port is open."""
        return self._listener is not None

    @property
    def host_key_line(self) -> str:
        """The public host key as known_hosts and authorized_keys write it, without a comment."""
        return " ".join(self.host_key.export_public_key().decode().split()[:2])

    @property
    def host_key_fingerprint(self) -> str:
        """The fingerprint of the public host key, `SHA256:…`."""
        return self.host_key.get_fingerprint()

    def use_host_key(self, key: asyncssh.SSHKey) -> None:
        """Show this key to connections from now on."""
        self.host_key = key
        self._options = options(self.door, self.journal, key, str(self.home), self._run)

    def listen(self) -> None:
        """Open the port; the same one again after the first time."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind((self.spec.address, self.port))
        except OSError:
            listener.close()
            raise
        listener.listen(_LISTEN_BACKLOG)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener))

    def stop_listening(self) -> None:
        """Close the port: a connection attempt is refused from now on."""
        if self._listener is not None and self._accepting is not None:
            self._accepting.cancel()
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def cut_links(self, *, reset: bool = False) -> None:
        """End every connection, with a TCP reset if asked."""
        for link in list(self._links):
            link.cut(reset=reset)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(client, self.wire)
            task = asyncio.create_task(link.run(self._serve))
            self._links[link] = task
            task.add_done_callback(partial(self._forget, link))

    def _forget(self, link: Link, _: "asyncio.Task[None]") -> None:
        self._links.pop(link, None)

    async def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            connection = await asyncssh.run_server(sock, options=self._options)
            try:
                await connection.wait_closed()
            finally:
                connection.abort()

    async def _run(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        command = process.command
        self.journal.ran(command or "")
        argv = self.shell if command is None else [*self.shell, "-c", command]
        try:
            await serve_process(
                process, argv, self._environment(), self.home, hangs_up=self.spec.hangs_up
            )
        except OSError as error:
            process.stderr.write(f"{self.shell[0]}: {error.strerror}\n".encode())
            process.exit(127)

    def _environment(self) -> dict[str, str]:
        """Nothing of the host's environment: it may hold secrets."""
        return {
            "HOME": str(self.home),
            "USER": self.spec.username,
            "LOGNAME": self.spec.username,
            "SHELL": self.shell[0],
            "PATH": f"{self.bin}:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            MARK: str(self.folder),
            **self.spec.environment,
        }

    def _prepare(self) -> None:
        if self.folder.exists():
            # What a simulator that was killed may have left.
            kill_processes_of(self.folder)
        for folder in (self.root, self.state, self.bin):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.home, self.bin, self.root / "proc", self.state):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tools = (*(tool for tool in self.profile.tools if tool in PYTHON_TOOLS), "df", "ps")
        answers = {
            "nproc": str(self.profile.cores),
            "hostname": self.spec.name,
        }
        install(str(self.bin), str(self.state), str(self.root), tools, answers)
        (self.state / "docker-mode").write_text(self.profile.docker, encoding="utf-8")
        _make_containers(self.state)


def _with_real_interfaces(profile: Profile) -> Profile:
    """The profile with the names of this host's own network cards in the first places.

    A shell that looks which interfaces are hardware does so by a pattern over /sys, where no
    program of ours stands between.
    """
    cards = sorted(path.parent.name for path in Path("/sys/class/net").glob("*/device"))
    order = sorted(profile.interfaces, key=lambda interface: not interface.is_default)
    names = [*cards, *(interface.name for interface in order[len(cards) :])]
    shown = (
        dataclasses.replace(interface, name=name)
        for interface, name in zip(order, names, strict=False)
    )
    return dataclasses.replace(profile, interfaces=tuple(shown))


def _make_containers(state: Path) -> None:
    from_images = {image: name for name, _, image, _, _, _ in physics.WORKLOADS if image}
    with containers.opened(str(state)) as there:
        for index, (image, command) in enumerate(sorted(from_images.items())):
            container = containers.create(
                image,
                f"local/{image}:25.10",
                [command],
                procfs.container_id(image),
                time.time() - 86_400 * (index + 2),
            )
            container |= {"is_running": True, "load": 0.4 + 0.3 * index}
            there.append(container)
