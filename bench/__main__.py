"""`python -m bench`: measure, and print a table with ratios and goals.

The exit status is 0 whatever the figures are; it is 1 when something broke, and nothing is left
running or lying about in either case.
"""

import argparse
import contextlib
import logging
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bench import history, journal, linear, parts, rounds, site
from bench.figures import GOAL_MACHINES, Figures, Growth, Peer, Scale
from bench.gpustat_web import Installation
from bench.processes import Broken
from bench.report import report

PARTS = ("scale", "exec", "latency", "peer", "history", "log", "queue", "linear")
_MACHINES = (50, 200, 500)
_FEW = 50
_SOCKETS = 50
_CAPTURE_SECONDS = 90


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    machines: Sequence[int]
    seconds: float
    parts: frozenset[str]
    days: int

    @property
    def few(self) -> int:
        """For the parts that have one size: 50, or the least that was asked for."""
        return min(_FEW, *self.machines)


def main(arguments: Sequence[str] | None = None) -> int:
    plan = _plan(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(prefix="dgxsite-bench-") as directory:
            print(report(_measure(plan, Path(directory))), end="")
    except Broken as error:
        print(f"The bench broke: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def _plan(arguments: Sequence[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="bench", description="Measure the site on this machine.")
    parser.add_argument("--machines", default=",".join(map(str, _MACHINES)), metavar="N,N…")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each window")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,PART…", help=str(PARTS))
    parser.add_argument("--days", type=int, default=365, help="of the part history")
    options = parser.parse_args(arguments)
    chosen = frozenset(options.only.split(","))
    if unknown := chosen - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    try:
        machines = [int(text) for text in options.machines.split(",")]
    except ValueError:
        parser.error("--machines takes numbers")
    if min(machines) < 1 or options.seconds < 1 or options.days < 1:
        parser.error("at least one machine, one second and one day")
    return Plan(machines, options.seconds, chosen, options.days)


def _measure(plan: Plan, directory: Path) -> Figures:
    with contextlib.ExitStack() as stack:
        installation = Installation(directory / "gpustat-web") if "peer" in plan.parts else None
        if installation is not None:
            stack.callback(installation.stop)
        parts.say("recording a machine, starting PostgreSQL and Redis")
        place = stack.enter_context(site.serving(directory / "site"))
        captured = _capture(directory / "captured")
        recording = captured / "recording.json"
        if installation is not None:
            installation.python()  # its work would be measured with ours
        ages = None
        if "latency" in plan.parts:
            folder = directory / "latency"
            ages = parts.ages(place, folder, recording, plan.few, _SOCKETS, plan.seconds)
        peer = None
        if installation is not None:
            peer = _peer(plan, place, directory / "peer", captured, installation)
        scales = _scales(plan, place, directory, recording)
        year = None
        if "history" in plan.parts:
            parts.say(f"a year of history: {plan.days} days of windows")
            year = history.measure(place, directory / "history", days=plan.days)
        cost = None
        if "log" in plan.parts:
            parts.say("logs, line by line, and what the database writes of them")
            cost = journal.measure(place)
        long = None
        if "queue" in plan.parts:
            parts.say("rounds of a queue of 2,000 jobs")
            long = rounds.measure(place)
        growth: Sequence[Growth] = ()
        if "linear" in plan.parts:
            parts.say("every parser over hostile texts, once and twice as long")
            growth = linear.measure()
        return Figures(scales, ages, peer, year, cost, long, growth)


def _scales(plan: Plan, place: site.Site, directory: Path, recording: Path) -> list[Scale]:
    if not plan.parts & {"scale", "exec"}:
        return []
    # One size is enough for what is many times dearer: the one that the goal names, if it is there.
    polled = GOAL_MACHINES if GOAL_MACHINES in plan.machines else max(plan.machines)
    return [
        parts.scale(
            place,
            directory / f"machines-{count}",
            recording,
            count,
            plan.seconds,
            execs="exec" in plan.parts and count == polled,
        )
        for count in plan.machines
        if "scale" in plan.parts or count == polled
    ]


def _peer(
    plan: Plan, place: site.Site, folder: Path, captured: Path, installation: Installation
) -> Peer | None:
    found = parts.peer(place, folder, captured, installation, plan.few, plan.seconds)
    if isinstance(found, str):
        parts.say(found)
        return None
    return found


def _capture(folder: Path) -> Path:
    folder.mkdir()
    argv = [sys.executable, "-m", "bench.capture", str(folder)]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=_CAPTURE_SECONDS, check=False
    )
    if done.returncode != 0:
        raise Broken(f"The collector could not be recorded: {done.stderr[-1500:]}")
    return folder


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
