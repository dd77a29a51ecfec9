"""The table that `make bench` prints."""

import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from bench import history, journal, rounds
from bench.figures import (
    Ages,
    Figures,
    Growth,
    Peer,
    Scale,
    goals,
    growth_goals,
    percentile,
)

_PACKAGES = ("django", "celery", "paramiko", "asyncssh", "redis", "psycopg", "orjson", "uvicorn")
_LABEL_WIDTH = 54
_MIB = 1024 * 1024

_ROWS: tuple[tuple[str, Callable[[Scale], str]], ...] = (
    ("keeper, all the way to Redis and push, ms", lambda one: f"{one.keeper_ms:.2f}"),
    ("floor: Paramiko that only reads, ms", lambda one: f"{one.floor_ms:.2f}"),
    ("asyncssh, one exec per poll, ms", lambda one: _number(one.execs_ms, ".2f")),
    ("keeper / floor", lambda one: f"{one.keeper_ms / one.floor_ms:.2f}"),
    (
        "keeper / exec per poll",
        lambda one: f"{one.keeper_ms / one.execs_ms:.2f}" if one.execs_ms else "-",
    ),
    ("beat, ms", lambda one: f"{one.others_ms['beat']:.2f}"),
    ("Redis, ms", lambda one: f"{one.others_ms['redis']:.2f}"),
    ("PostgreSQL, ms", lambda one: f"{one.others_ms['postgres']:.2f}"),
    ("whole tree without web, ms", lambda one: f"{one.tree_ms:.2f}"),
    ("samples that came, of those due", lambda one: f"{one.complete:.1%}"),
    ("keeper's memory, RSS MiB", lambda one: f"{one.memory.rss_bytes / _MIB:.0f}"),
    ("keeper's memory, PSS MiB", lambda one: _mebibytes(one.memory.pss_bytes)),
    ("keeper's threads", lambda one: str(one.memory.threads)),
    ("first tick to all connected and read, s", lambda one: f"{one.connect_seconds:.1f}"),
)


def report(figures: Figures) -> str:
    """All that was measured, as text."""
    parts = [_setting()]
    if figures.scales:
        parts.append(_scales(figures.scales))
    if figures.ages is not None:
        parts.append(_ages(figures.ages))
    if figures.peer is not None:
        parts.append(_peer(figures.peer))
    if figures.history is not None:
        parts.append("\n".join(_row(*line) for line in history.lines(figures.history)))
    if figures.queue is not None:
        parts.append("\n".join(_row(*line) for line in rounds.lines(figures.queue)))
    if figures.journal is not None:
        parts.append("\n".join(_row(*line) for line in journal.lines(figures.journal)))
    if figures.growth:
        parts.append(_growth(figures.growth))
    parts.append(_goals(figures))
    return "\n\n".join(parts) + "\n"


def _setting() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{platform.system()} {platform.release()}, {_processor()}, {os.cpu_count()} processors\n"
        f"Python {platform.python_version()}, {packages}\n"
        "CPU is user and system time per sample of one machine; all over loopback."
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _scales(scales: Sequence[Scale]) -> str:
    heading = _row("machines, each sampled every 2 s", [str(one.machines) for one in scales])
    rows = [_row(label, [cell(one) for one in scales]) for label, cell in _ROWS]
    return "\n".join([heading, *rows])


def _ages(ages: Ages) -> str:
    values = ages.milliseconds
    return "\n".join(
        [
            f"Keeper's read to parsed JSON, {ages.machines} machines, {ages.sockets} sockets",
            _row("p50, ms", [f"{percentile(values, 50):.0f}"]),
            _row("p95, ms", [f"{percentile(values, 95):.0f}"]),
            _row("p99, ms", [f"{percentile(values, 99):.0f}"]),
            _row("samples", [str(len(values))]),
            _row("web process, cores", [f"{ages.web_cores:.2f}"]),
        ]
    )


def _peer(peer: Peer) -> str:
    return "\n".join(
        [
            _row(f"{peer.machines} machines behind real sshds", ["keeper", "gpustat-web"]),
            _row(
                f"CPU, ms (gpustat-web {peer.version})",
                [f"{peer.keeper_ms:.2f}", f"{peer.peer_ms:.2f}"],
            ),
            _row(
                "interval really kept, mean s",
                [f"{peer.keeper_interval_seconds:.2f}", f"{peer.peer_interval_seconds:.2f}"],
            ),
            _row("keeper / gpustat-web", [f"{peer.keeper_ms / peer.peer_ms:.2f}"]),
        ]
    )


def _growth(growth: Sequence[Growth]) -> str:
    heading = _row("parser of text from machines and jobs", ["2 n / n"])
    rows = [_row(one.parser, [f"{one.ratio:.2f}"]) for one in growth]
    return "\n".join([heading, *rows])


def _goals(figures: Figures) -> str:
    return "\n".join(
        _row(
            f"{goal.text} (at most {goal.limit:g})",
            [_number(goal.figure, ".2f"), goal.verdict],
        )
        for goal in [
            *goals(figures),
            *history.goals(figures.history),
            *journal.goals(figures.journal),
            *rounds.goals(figures.queue),
            *growth_goals(figures.growth),
        ]
    )


def _row(label: str, cells: Sequence[str]) -> str:
    return (label.ljust(_LABEL_WIDTH) + "".join(cell.rjust(13) for cell in cells)).rstrip()


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _mebibytes(value: int | None) -> str:
    return "-" if value is None else f"{value / _MIB:.0f}"
