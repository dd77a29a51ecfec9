"""What the site runs on a machine: one command, and the program that goes through its stdin.

The command is safe under any login shell (bash, dash, busybox, fish, csh, tcsh): it holds no
newline, backslash or exclamation mark, and no quote inside its one quoted argument. It reads the
program byte by byte, so that the heartbeat behind it stays in the pipe, and runs it only when
beginning and end are there: an rc file that ate some of stdin makes no half a program run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metrics.collectors.amd import rocm_smi
from metrics.collectors.nvidia import compute_apps, query_csv, query_xml

# One byte of this on stdin every HEARTBEAT_SECONDS keeps the program alive. (No newline and no
# space: the shell's command substitution would swallow it.)
HEARTBEAT = b"."
HEARTBEAT_SECONDS = 10
# Without a heartbeat for so long, everything ends.
PATIENCE_SECONDS = 30
SLOW_SECONDS = 10

_MARKER = re.compile(r"[0-9a-f]{32}")
_SOURCE = Path(__file__).with_name("collector.sh")
# The counting watcher wakes up so many times within the patience.
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Launch:
    """`command` for the machine's login shell; `stdin` goes first, the heartbeat follows."""

    command: str
    stdin: bytes


def launch(
    marker: str,
    *,
    interval_seconds: float = 2.0,
    patience_seconds: float = PATIENCE_SECONDS,
    slow_seconds: float = SLOW_SECONDS,
) -> Launch:
    """The collector for one session.

    `marker` is 32 lower-case hexadecimal digits that nobody else knows; anything else raises
    `ValueError`. Intervals are in seconds.
    """
    if not _MARKER.fullmatch(marker):
        raise ValueError("the marker must be 32 lower-case hexadecimal digits")
    program = _program(marker, interval_seconds, patience_seconds, slow_seconds)
    stdin = f"# {marker}\n{program}# {marker}".encode("ascii")
    # The command holds the marker in two halves: a shell that echoes its command line must not
    # look like the program itself.
    command = (
        f"exec sh -c 'p=$(dd bs=1 count={len(stdin)} 2>/dev/null); "
        f'case $p in "# {marker[:16]}"*"{marker[16:]}") eval "$p";; esac\''
    )
    return Launch(command, stdin)


def _program(marker: str, interval: float, patience: float, slow: float) -> str:
    values = {
        "MARKER": marker,
        "INTERVAL": f"{interval:g}",
        "TICK": f"{patience / _TICKS:g}",
        "SLOW": f"{slow:g}",
        # nvidia-smi's own loop takes whole seconds.
        "XML_SECONDS": f"{max(slow, 1):.0f}",
        "AMD": f"{interval * 2:g}",
        "GPU_MS": f"{interval * 1000:.0f}",
        "APP_MS": f"{interval * 2000:.0f}",
        "GPU_FIELDS": ",".join(query_csv.GPU_FIELDS),
        "APP_FIELDS": ",".join(compute_apps.FIELDS),
        "ROCM": rocm_smi.ARGUMENTS,
        "LEAVES": "|".join(f'*"<{leaf}>"*' for leaf in query_xml.LEAVES) + '|*"_reason"*',
        "INSTEAD": _instead(query_csv.INSTEAD) + "\n" + _instead(compute_apps.INSTEAD),
    }
    text = _without_comments(_SOURCE.read_text("ascii"))
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _instead(table: Mapping[str, tuple[str, ...]]) -> str:
    """The branches of the program's table: refused field → what to ask instead."""
    return "\n".join(f"{field}) r={','.join(others)} ;;" for field, others in table.items())


def _without_comments(text: str) -> str:
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#"))
