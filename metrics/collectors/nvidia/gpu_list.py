"""`nvidia-smi -L`: which GPUs there are, and the MIG devices of each by their device number."""

import re
from collections.abc import Iterable

from metrics.collectors.readings import MigDevice

MAX_GPUS = 256
MAX_MIG_DEVICES = 256
# Of a whole machine; 64 GPUs have at most seven each.
MAX_MIG_IN_ALL = 2048
MAX_LINE = 1024
_GPU = re.compile(r"GPU\s+(\d{1,4}):")
_MIG = re.compile(r"\s+MIG\s+(\S{1,200})\s+Device\s+(\d{1,4}):\s+$")
_UUID = "(UUID:"


def parse(lines: Iterable[str]) -> dict[int, list[MigDevice]]:
    """GPU index → its MIG devices (without memory); lines of another form are left out."""
    gpus: dict[int, list[MigDevice]] = {}
    devices: list[MigDevice] = []
    left = MAX_MIG_IN_ALL
    for line in lines:
        said, uuid = _split(line)
        if uuid is None:
            continue
        if match := _GPU.match(said):
            if len(gpus) >= MAX_GPUS:
                break
            devices = gpus.setdefault(int(match[1]), [])
        elif left and len(devices) < MAX_MIG_DEVICES and (match := _MIG.match(said)):
            left -= 1
            devices.append(MigDevice(int(match[2]), uuid=uuid[:200], profile=match[1][:80]))
    return gpus


def _split(line: str) -> tuple[str, str | None]:
    """What stands before the identifier, and the identifier; `None` where there is none."""
    said, mark, rest = line[:MAX_LINE].rpartition(_UUID)
    uuid, closed, _ = rest.lstrip().partition(")")
    is_word = bool(uuid) and not any(map(str.isspace, uuid))
    return said, uuid if mark and closed and is_word else None
