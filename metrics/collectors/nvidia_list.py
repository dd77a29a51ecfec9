"""`nvidia-smi -L`: which GPUs there are, and the MIG devices of each by their device number."""

import re
from collections.abc import Iterable

from .readings import MigDevice

MAX_MIG_DEVICES = 256
_GPU = re.compile(r"^GPU\s+(\d{1,4}):.*\(UUID:\s*([^)\s]+)\)")
_MIG = re.compile(r"^\s+MIG\s+(\S+)\s+Device\s+(\d{1,4}):\s+\(UUID:\s*([^)\s]+)\)")


def parse(lines: Iterable[str]) -> dict[int, list[MigDevice]]:
    """GPU index → its MIG devices (without memory); lines of another form are left out."""
    gpus: dict[int, list[MigDevice]] = {}
    devices: list[MigDevice] = []
    for line in lines:
        if match := _GPU.match(line):
            devices = gpus.setdefault(int(match[1]), [])
        elif (match := _MIG.match(line)) and len(devices) < MAX_MIG_DEVICES:
            devices.append(MigDevice(int(match[2]), uuid=match[3][:200], profile=match[1][:80]))
    return gpus
