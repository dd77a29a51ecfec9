"""Prometheus beside the history: the same year of one series, and `query_range` for each range.

Only where the programs `prometheus` and `promtool` are installed (Debian: prometheus). Its blocks
are made from the rows as COPY wrote them; for each range it is asked for mean, least and greatest
of the same steps, which are three queries where the site needs one.
"""

import json
import os
import random
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.processes import Broken, free_port, running, wait_until

# Range → step in seconds: those of the site at its 1,500 points.
STEPS: dict[str, tuple[timedelta, int]] = {
    "1h": (timedelta(hours=1), 20),
    "6h": (timedelta(hours=6), 20),
    "24h": (timedelta(hours=24), 60),
    "7d": (timedelta(days=7), 3600),
    "30d": (timedelta(days=30), 3600),
    "12m": (timedelta(days=365), 86_400),
}
_NAME = "dgx_gpu_utilization_percent"
_ASKED = 20
_READY_SECONDS = 60.0


def ask(rows: Path, column: int, folder: Path) -> dict[str, list[float]] | None:
    """Milliseconds of each answer by range; None where the programs are missing.

    `rows` is what COPY wrote, `column` the place of the series in it, times first. Raises `Broken`.
    """
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        return None
    folder.mkdir()
    last = _blocks(rows, column, folder)
    port = free_port()
    (folder / "prometheus.yml").write_text("", encoding="ascii")
    argv = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=5y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    address = f"http://127.0.0.1:{port}"
    log = folder / "log"
    with running(argv, log, {"PATH": os.defpath}):
        wait_until(lambda: _is_ready(address), _READY_SECONDS, "Prometheus is not ready", log)
        return {name: list(_times(address, name, last)) for name in STEPS}


def _blocks(rows: Path, column: int, folder: Path) -> datetime:
    """Make Prometheus' storage from the rows; the time of the last one."""
    text = folder / "rows.txt"
    last = ""
    with rows.open(encoding="ascii") as lines, text.open("w", encoding="ascii") as out:
        out.write(f"# TYPE {_NAME} gauge\n")
        for line in lines:
            cells = line.split("\t")
            last = cells[0]
            at = datetime.fromisoformat(last).timestamp()
            out.write(f"{_NAME} {cells[column]} {at:.0f}\n")
        out.write("# EOF\n")
    # The text is read once for every block: with the usual two hours a year takes longer than ten
    # minutes. Prometheus itself would have put the same year into blocks of a month.
    argv = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    argv += ["--max-block-duration=720h", str(text)]
    done = subprocess.run(
        [*argv, str(folder / "data")], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise Broken(f"promtool made no blocks: {done.stderr[-500:]}")
    return datetime.fromisoformat(last).astimezone(UTC)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _times(address: str, name: str, last: datetime) -> Iterator[float]:
    """Milliseconds of so many askings; the first warms up, each ends somewhere else."""
    length, step = STEPS[name]
    generator = random.Random(name)
    for number in range(_ASKED + 1):
        end = last - timedelta(seconds=generator.randrange(3600))
        started = time.perf_counter()
        for function in ("avg", "min", "max"):
            _query(address, f"{function}_over_time({_NAME}[{step}s])", end - length, end, step)
        if number:
            yield 1000 * (time.perf_counter() - started)


def _query(address: str, query: str, start: datetime, end: datetime, step: int) -> Sequence[object]:
    parameters = {"query": query, "start": start.timestamp(), "end": end.timestamp(), "step": step}
    url = f"{address}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: Sequence[object] = json.load(answer)["data"]["result"]
    if not found:
        raise Broken("Prometheus found nothing in its year.")
    return found
