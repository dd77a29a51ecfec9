"""`df -P -k`: mounted file systems that hold data."""

import re
from collections.abc import Iterable

from metrics.collectors.readings import Disk

# GNU, busybox and BSD all print source, blocks, used, available, percent and mount; a type column
# (-T) may follow the first, and blanks may be in the source and in the mount.
_WORD = re.compile(r"\S+")
_COLUMNS = tuple(
    re.compile(form) for form in (r"\d{1,19}|-", r"\d{1,19}|-", r"-?\d{1,19}|-", r"\d{1,19}%|-")
)
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
# A path of 4,096 bytes for the source, another for the mount.
MAX_LINE = 8 * 1024 + 256


def parse(lines: Iterable[str]) -> tuple[Disk, ...]:
    """File systems in df's order; lines of another form and pseudo file systems are left out."""
    disks: dict[str, Disk] = {}
    for line in lines:
        if len(disks) >= MAX_DISKS:
            break
        row = _row(line)
        if row is None:
            continue
        source, total, used, mount = row
        if mount != "/" and (source in PSEUDO or source.startswith("/dev/loop")):
            continue
        disks[mount] = Disk(_printable(mount), _bytes(total), _bytes(used))
    return tuple(disks.values())


def _row(line: str) -> tuple[str, str, str, str] | None:
    """Source, blocks, used and mount: at the first place where four numbers and a path follow."""
    if len(line) > MAX_LINE or not line[:1].strip():
        return None
    words = [(found[0], found.start()) for found in _WORD.finditer(line)]
    for at in range(1, len(words) - len(_COLUMNS)):
        path, start = words[at + len(_COLUMNS)]
        if path[0] == "/" and all(
            form.fullmatch(word)
            for form, (word, _) in zip(_COLUMNS, words[at : at + 4], strict=True)
        ):
            return words[0][0], words[at][0], words[at + 1][0], line[start:]
    return None


def _bytes(blocks: str) -> int | None:
    if blocks == "-" or int(blocks) > MAX_BLOCKS:
        return None
    return int(blocks) * KIB


def _printable(mount: str) -> str:
    return "".join(filter(str.isprintable, mount))[:512]
