"""Whom a process belongs to: its user, and its container by what its cgroups are called."""

import re
from dataclasses import dataclass

# docker, podman, containerd, CRI-O and Kubernetes all name the group after the 64-digit id.
_CONTAINER_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_LXC = re.compile(r"/lxc(?:\.payload)?[./]([A-Za-z0-9][A-Za-z0-9_.-]{0,62})")
# Twelve hierarchies of a pod's group are a quarter of it.
MAX_PAYLOAD = 16 * 1024
_USER = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.@\\+-]{0,63}\$?$")


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of one process; `container` is a full container id or an LXC name."""

    user: str | None
    container: str | None


def parse(payload: str) -> tuple[int, Owner] | None:
    """`pid user cgroup-lines` as the program reports a process that it has not seen before."""
    pid, _, rest = payload[:MAX_PAYLOAD].partition(" ")
    user, _, cgroups = rest.partition(" ")
    if not (pid.isascii() and pid.isdigit() and len(pid) <= 10):
        return None
    return int(pid), Owner(user if _USER.match(user) else None, container(cgroups))


def container(cgroups: str) -> str | None:
    """The container that the cgroup paths name, or `None` outside of any."""
    match = _CONTAINER_ID.search(cgroups)
    if match:
        return match[0]
    lxc = _LXC.search(cgroups)
    return lxc[1] if lxc else None
