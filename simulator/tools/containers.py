"""The containers of one simulated machine: a JSON file, changed under a lock.

A container that the simulator made has no process. One that `docker run` made is a real process
of this host, in its own session, whose image is only a name.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Container = dict[str, Any]
"""id, name, image, command, created_at, started_at, is_running, exit_code, pid, ports, load."""


@contextmanager
def opened(state_dir: str) -> Iterator[list[Container]]:
    """The list of containers; what the block leaves in it is written back, whole or not at all."""
    path = f"{state_dir}/containers.json"
    with open(f"{path}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        containers = _read(path)
        before = json.dumps(containers)
        for container in containers:
            _refresh(state_dir, container)
        yield containers
        after = json.dumps(containers)
        if after != before:
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(after)
            os.replace(f"{path}.new", path)


def create(name: str, image: str, command: list[str], identity: str, now: float) -> Container:
    """A container that has not been started."""
    return {
        "id": identity,
        "name": name,
        "image": image,
        "command": command,
        "created_at": now,
        "started_at": now,
        "is_running": False,
        "exit_code": 0,
        "pid": None,
        "ports": "",
        "load": 0.0,
    }


def find(containers: list[Container], word: str) -> Container | None:
    """The container of that name, or of an id that begins with `word`."""
    for container in containers:
        if container["name"] == word or (len(word) >= 4 and container["id"].startswith(word)):
            return container
    return None


def log_path(state_dir: str, container: Container) -> str:
    """Where the output of a container goes."""
    return f"{state_dir}/container-{container['id'][:12]}.log"


def exit_path(state_dir: str, container: Container) -> str:
    """Where a real container's exit code is written when it ends."""
    return f"{state_dir}/container-{container['id'][:12]}.exit"


def uptime_text(seconds: float) -> str:
    """A duration in docker's rounded words."""
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {word}"
    return f"{int(seconds)} seconds"


def iso_time(seconds: float) -> str:
    """UTC with nanoseconds, as `docker inspect` writes times."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime(seconds))


def memory_total_gib(state_dir: str) -> float:
    """The memory of the simulated machine, in GiB."""
    with open(f"{state_dir}/../root/proc/meminfo", encoding="utf-8") as file:
        return int(file.readline().split()[1]) / 1024**2


def _read(path: str) -> list[Container]:
    try:
        with open(path, encoding="utf-8") as file:
            containers: list[Container] = json.load(file)
    except FileNotFoundError:
        return []
    return containers


def _refresh(state_dir: str, container: Container) -> None:
    """Notice that a real container has ended."""
    if container["pid"] is None or not container["is_running"]:
        return
    try:
        with open(exit_path(state_dir, container), encoding="utf-8") as file:
            container["exit_code"] = int(file.read())
    except (FileNotFoundError, ValueError):
        if os.path.exists(f"/proc/{container['pid']}"):
            return
        # Killed together with the shell that would have written the code.
        container["exit_code"] = 137
    container["is_running"] = False
