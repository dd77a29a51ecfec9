"""Faults for a fleet in another process: one JSON line in, one JSON line out, over a Unix socket.

    {"machine": "sim-spark-1", "fault": "freeze", "options": {}}  ->  {"ok": true}

The socket lies in the fleet's folder, which only its owner can enter.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from simulator.fleet import Fleet

SOCKET_NAME = "control.sock"
_ANSWER_TIMEOUT_SECONDS = 60.0


@contextlib.asynccontextmanager
async def listening(fleet: Fleet) -> AsyncIterator[None]:
    """Obey the control socket of `fleet` while the block runs."""

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(fleet, line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    (fleet.folder / SOCKET_NAME).unlink(missing_ok=True)
    with _short_path(fleet.folder) as path:
        server = await asyncio.start_unix_server(obey, path)
    try:
        yield
    finally:
        server.close()
        (fleet.folder / SOCKET_NAME).unlink(missing_ok=True)


def send(folder: Path | str, machine: str, fault: str, **options: Any) -> None:
    """Let a fault happen to a machine of the fleet in `folder`.

    Raises `RuntimeError` with the fleet's words if it refuses, `OSError` if no fleet runs there.
    """
    request = {"machine": machine, "fault": fault, "options": options}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_TIMEOUT_SECONDS)
        with _short_path(Path(folder)) as path:
            connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("r", encoding="utf-8") as answers:
            answer = json.loads(answers.readline())
    if not answer["ok"]:
        raise RuntimeError(answer["detail"])


async def _answer(fleet: Fleet, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        await fleet.apply(request["machine"], request["fault"], **request.get("options", {}))
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        return {"ok": False, "detail": f"{type(error).__name__}: {error}"}
    return {"ok": True}


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A name for the socket of at most a few bytes: the kernel refuses more than 107."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
