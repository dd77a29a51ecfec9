"""A program: the least that reading these machines can cost with Paramiko, as a yardstick.

It logs in, starts the collector's channel and counts frames. Nothing is parsed, stored or sent.
It has what the product found out about reading cheaply (cheap ciphers, long-sleeping transports,
one thread that reads when bytes have arrived), so the ratio to it is the price of our own work.
"""

import io
import json
import queue
import secrets
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import paramiko

from bench import talk
from metrics.collectors import program

_CONNECT_THREADS = 16
_IDLE_WAKE_SECONDS = 5.0
_COALESCE_SECONDS = 0.02
_READ_BYTES = 262_144


class Reader:
    """One machine's channel; Paramiko takes it for the event that says "bytes are there"."""

    def __init__(self, channel: paramiko.Channel, marker: str, ready: "queue.SimpleQueue[Reader]"):
        self._channel = channel
        self._begin = f"{marker}F ".encode("ascii")
        self._ready = ready
        self.frames = 0
        self._tail = b""

    def set(self) -> None:
        self._ready.put(self)

    def clear(self) -> None:
        """Nothing to do: the queue empties itself."""

    def read(self) -> None:
        while self._channel.recv_ready():
            data = self._tail + self._channel.recv(_READ_BYTES)
            self.frames += data.count(self._begin)
            self._tail = data[1 - len(self._begin) :]  # a mark may come in two parts


def connect(machine: dict[str, Any], ready: "queue.SimpleQueue[Reader]") -> Reader:
    """Log in to one machine of `fleet.json` and start the collector there."""
    sock = socket.create_connection((machine["hostname"], machine["port"]), timeout=15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(sock, default_window_size=4 << 20)
    transport.get_security_options().ciphers = ("aes128-gcm@openssh.com",)
    transport.start_client(timeout=15)
    text = Path(machine["private_key_path"]).read_text("ascii")
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(text))
    transport.auth_publickey(machine["username"], key)
    transport.sock.settimeout(_IDLE_WAKE_SECONDS)
    marker = secrets.token_hex(16)
    launch = program.launch(marker)
    channel = transport.open_session(timeout=15)
    channel.exec_command(launch.command)
    channel.sendall(launch.stdin)
    reader = Reader(channel, marker, ready)
    channel.in_buffer.set_event(reader)  # type: ignore[arg-type]  # `set` is all that it calls
    reader.set()
    return reader


def drain(ready: "queue.SimpleQueue[Reader]") -> None:
    """Read for ever, whoever has something."""
    while True:
        first = ready.get()
        time.sleep(_COALESCE_SECONDS)
        waiting = {first, *(ready.get() for _ in range(ready.qsize()))}
        for reader in waiting:
            reader.read()


def main() -> None:
    machines = json.loads(Path(sys.argv[1]).read_text("utf-8"))["machines"]
    ready: queue.SimpleQueue[Reader] = queue.SimpleQueue()
    threading.Thread(target=drain, args=(ready,), daemon=True).start()
    with ThreadPoolExecutor(_CONNECT_THREADS) as pool:
        readers = list(pool.map(lambda machine: connect(machine, ready), machines))
    talk.serve(lambda: {"samples": sum(reader.frames for reader in readers)})


if __name__ == "__main__":
    main()
