"""The fake `nvidia-smi`: CSV queries (once or in a loop), `-q -x`, `-L`, `--version`, the table.

It answers from the tables `gpus`, `apps` and `mig`. Exit statuses as the real tool documents them:
2 for a field that it does not know, 6 for a device that is not there, 15 for a lost GPU.
"""

import sys
import time
from collections.abc import Callable

from simulator.tools import nvidia_table, nvidia_xml
from simulator.tools.nvidia_fields import APP_ALIASES, APP_UNITS, UNITS, canonical
from simulator.tools.nvidia_options import Options, chosen, parse, timestamp
from simulator.tools.tables import Row, read_table
from simulator.tools.trouble import ToolFailed, suffer

_INVALID = "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n"
_HELP = "NVIDIA System Management Interface (simulated)\n\nnvidia-smi [OPTION1 [ARG1]] ...\n"


def main(state_dir: str, arguments: list[str]) -> int:
    """Be nvidia-smi; returns the exit status."""
    options = parse(arguments)
    if options is None:
        sys.stdout.write(_INVALID)
        return 1
    if "h" in options.flags:
        sys.stdout.write(_HELP)
        return 0
    speak = _speaker(options)
    _refuse_lost_gpu(state_dir)
    return _repeat(state_dir, options, speak)


Speaker = Callable[[str, Options, bool], None]


def _speaker(options: Options) -> Speaker:
    if options.query_gpu:
        return _QuerySpeaker("gpus", _fields(options.query_gpu.split(","), UNITS, canonical))
    if options.query_apps:
        names = options.query_apps.split(",")
        known = _fields(names, APP_UNITS, lambda name: APP_ALIASES.get(name, name))
        return _QuerySpeaker("apps", known)
    if "q" in options.flags:
        return nvidia_xml.speak if "x" in options.flags else nvidia_table.speak_details
    if "L" in options.flags:
        return nvidia_table.speak_list
    if "version" in options.flags:
        return nvidia_table.speak_version
    return nvidia_table.speak_table


def _repeat(state_dir: str, options: Options, speak: Speaker) -> int:
    is_first, due = True, time.monotonic()
    while True:
        speak(state_dir, options, is_first)
        sys.stdout.flush()
        if not options.interval_seconds:
            return 0
        is_first = False
        due += options.interval_seconds
        time.sleep(max(0.0, due - time.monotonic()))
        suffer(state_dir, "nvidia-smi")


def _fields(
    names: list[str], known: dict[str, str], rename: Callable[[str], str]
) -> list[tuple[str, str]]:
    fields = [(rename(name.strip()), name.strip()) for name in names]
    for name, asked in fields:
        if name not in known:
            sys.stdout.write(f'Field "{asked}" is not a valid field to query.\n\n')
            sys.stdout.flush()
            raise ToolFailed(2)
    return [(name, known[name]) for name, _ in fields]


class _QuerySpeaker:
    """Prints one round of a CSV query."""

    def __init__(self, table: str, fields: list[tuple[str, str]]) -> None:
        self.table = table
        self.fields = fields

    def __call__(self, state_dir: str, options: Options, is_first: bool) -> None:
        rows = chosen(read_table(state_dir, self.table), options.devices)
        if not rows and self.table == "gpus":
            sys.stdout.write("No devices were found\n")
            raise ToolFailed(6)
        lines = []
        if is_first and "noheader" not in options.format:
            titles = (f"{name} [{unit}]" if unit else name for name, unit in self.fields)
            lines.append(", ".join(titles))
        stamp = timestamp()
        without_units = "nounits" in options.format
        for row in rows:
            row["timestamp"] = stamp
            lines.append(", ".join(_cell(row, field, without_units) for field in self.fields))
        # One write a round: a reader gets a whole round or nothing.
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def _cell(row: Row, field: tuple[str, str], without_units: bool) -> str:
    name, unit = field
    value = row.get(name, "[N/A]")
    return value.removesuffix(f" {unit}") if without_units and unit else value


def _refuse_lost_gpu(state_dir: str) -> None:
    for row in read_table(state_dir, "gpus"):
        if row["utilization.gpu"] == "[GPU is lost]":
            domain, bus = row["pci.bus_id"].split(":", 1)
            sys.stdout.write(
                f"Unable to determine the device handle for GPU {domain[-4:]}:{bus}: "
                "GPU is lost. Reboot the system to recover this GPU\n"
            )
            sys.stdout.flush()
            raise ToolFailed(15)
