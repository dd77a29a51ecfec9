"""`df -P -k`: mounted file systems that hold data."""

import re
from collections.abc import Iterable

from .readings import Disk

# GNU, busybox and BSD all print these six columns; a type column (-T) may follow the first.
_LINE = re.compile(r"^(\S.*?)\s+(\d{1,19}|-)\s+(\d{1,19}|-)\s+(-?\d{1,19}|-)\s+(\d+%|-)\s+(/.*)$")
# Sources that are no storage; "/" counts whatever carries it (a container's overlay).
PSEUDO = frozenset(
    {
        "tmpfs",
        "devtmpfs",
        "udev",
        "none",
        "proc",
        "sysfs",
        "overlay",
        "shm",
        "efivarfs",
        "cgroup",
        "cgroup2",
        "run",
        "dev",
        "rootfs",
        "ramfs",
        "squashfs",
        "portal",
        "lxcfs",
        "gvfsd-fuse",
        "nsfs",
        "bpf",
        "tracefs",
        "debugfs",
        "mqueue",
        "hugetlbfs",
    }
)
KIB = 1024
MAX_BLOCKS = 2**50
MAX_DISKS = 256


def parse(lines: Iterable[str]) -> tuple[Disk, ...]:
    """File systems in df's order; lines of another form and pseudo file systems are left out."""
    disks: dict[str, Disk] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None or len(disks) >= MAX_DISKS:
            continue
        source, mount = match[1].split()[0], match[6]
        if mount != "/" and (source in PSEUDO or source.startswith("/dev/loop")):
            continue
        disks[mount] = Disk(_printable(mount), _bytes(match[2]), _bytes(match[3]))
    return tuple(disks.values())


def _bytes(blocks: str) -> int | None:
    if blocks == "-" or int(blocks) > MAX_BLOCKS:
        return None
    return int(blocks) * KIB


def _printable(mount: str) -> str:
    return "".join(filter(str.isprintable, mount))[:512]
