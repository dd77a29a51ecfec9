"""Jobs on light machines: what `report.sh` and `start.sh` answer, said by a function.

A job that was started has printed a line and runs for ever; nothing runs. The records are those of
`jobs/remote/scripts/report.sh`.
"""

import re
from collections.abc import Sequence

from simulator import light

_BOOT = "6f1c2b1e-0000-4000-8000-000000000001"
_MARKER = re.compile(rb"^m=([0-9a-f]{32})$", re.MULTILINE)
_ASKED = re.compile(rb"^job ([0-9a-f-]{36}) (\d+) \d+", re.MULTILINE)
_LOG = "It runs.\n"
_LAUNCHED = re.compile(rb"^launch ([0-9a-f-]{36})$", re.MULTILINE)


class Jobs:
    """Which jobs were started, and how often each; on whichever machine."""

    def __init__(self) -> None:
        self.starts: dict[str, int] = {}

    def answers(self) -> Sequence[light.Answer]:
        """For a light fleet: the site's two programs, and nothing else."""
        return (light.Answer(r"umask 077", b"", program=self._answer), *light.ANSWERS)

    def _answer(self, stdin: bytes) -> bytes:
        for job in _LAUNCHED.findall(stdin):
            self.starts[job.decode()] = self.starts.get(job.decode(), 0) + 1
        found = _MARKER.search(stdin)
        if found is None:
            return b""
        marker = found[1].decode()
        asked = {job.decode(): int(offset) for job, offset in _ASKED.findall(stdin)}
        records = (self._record(marker, job, offset) for job, offset in asked.items())
        lines = [f"{marker} B {_BOOT} 1000", *records]
        return "".join(f"{line}\n" for line in [*lines, f"{marker} E"]).encode()

    def _record(self, marker: str, job: str, offset: int) -> str:
        if job not in self.starts:
            return f"{marker} J {job} 0 0 0 - - - - - - - - - 0 0\n"
        new = _LOG[offset:]
        fields = f"1 1 1 4711 100 {_BOOT} 1000 - - - - - {len(_LOG)} {len(new)}"
        return f"{marker} J {job} {fields}\n{new}"
