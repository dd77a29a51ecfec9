"""The parts of the bench: each sets up what it needs, measures one window, and takes it down."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from bench import gpustat_web, site, sshds, usage
from bench.figures import Ages, Peer, Scale, per_sample_ms
from bench.processes import Talker, free_port, talking, wait_until

SAMPLE_SECONDS = 2.0
# Between "everything is connected" and the window: late work of connecting is not a sample's.
_SETTLE_SECONDS = 3.0


def say(text: str) -> None:
    """Progress, beside the report."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def light_machines(count: int, folder: Path, recording: Path) -> Iterator[Path]:
    """`count` machines in a process of their own; the path of their `fleet.json`."""
    folder.mkdir()
    arguments = [str(count), str(folder), str(recording)]
    with talking("bench.machines", arguments, folder / "machines.log", ready_seconds=120):
        yield folder / "fleet.json"


def scale(
    place: site.Site, folder: Path, recording: Path, count: int, seconds: float, *, execs: bool
) -> Scale:
    """The keeper and the floor over the same machines in the same window; then exec per poll."""
    say(f"{count} light machines: keeper and floor")
    with light_machines(count, folder, recording) as fleet:
        site.seed(place, fleet)
        figures = _keeper_and_floor(place, fleet, count, seconds)
        if execs:
            say(f"{count} light machines: one exec per poll")
            figures = replace(figures, execs_ms=_execs(fleet, seconds))
    return figures


def _keeper_and_floor(place: site.Site, fleet: Path, count: int, seconds: float) -> Scale:
    with (
        site.keeping(place, count) as keeping,
        talking("bench.floor", [str(fleet)], place.log("floor"), ready_seconds=60) as floor,
    ):
        time.sleep(_SETTLE_SECONDS)
        spent, samples = _window(
            seconds,
            {
                "keeper": lambda: usage.cpu_seconds(keeping.keeper_pid),
                "floor": lambda: usage.cpu_seconds(floor.pid),
                "beat": lambda: usage.cpu_seconds(keeping.beat_pid),
                "redis": lambda: usage.cpu_seconds(place.redis_pid),
                "postgres": lambda: usage.tree_cpu_seconds(place.postgres_pid),
            },
            {"keeper": lambda: site.samples_seen(place)[1], "floor": lambda: _told(floor)},
        )
        of_keeper = samples["keeper"]
        return Scale(
            machines=count,
            keeper_ms=per_sample_ms(spent["keeper"], of_keeper),
            floor_ms=per_sample_ms(spent["floor"], samples["floor"]),
            others_ms={
                name: per_sample_ms(spent[name], of_keeper)
                for name in ("beat", "redis", "postgres")
            },
            complete=of_keeper / (count * seconds / SAMPLE_SECONDS),
            memory=usage.memory(keeping.keeper_pid),
            connect_seconds=keeping.connect_seconds,
        )


def _execs(fleet: Path, seconds: float) -> float:
    with talking("bench.execs", [str(fleet)], fleet.with_name("execs.log")) as execs:
        time.sleep(_SETTLE_SECONDS)
        spent, samples = _window(
            seconds,
            {"execs": lambda: usage.cpu_seconds(execs.pid)},
            {"execs": lambda: _told(execs)},
        )
        return per_sample_ms(spent["execs"], samples["execs"])


def ages(
    place: site.Site, folder: Path, recording: Path, count: int, sockets: int, seconds: float
) -> Ages:
    """How old a sample is when the first of many sockets has parsed it."""
    say(f"{count} light machines, {sockets} sockets: sample to browser")
    port = free_port()
    url = f"ws://127.0.0.1:{port}/ws/live/"
    with contextlib.ExitStack() as stack:
        fleet = stack.enter_context(light_machines(count, folder, recording))
        token = site.seed(place, fleet)
        stack.enter_context(site.keeping(place, count))
        web_pid = stack.enter_context(site.web(place, port))
        arguments = [url, token, str(sockets)]
        watchers = stack.enter_context(talking("bench.watchers", arguments, place.log("watchers")))
        time.sleep(_SETTLE_SECONDS)
        watchers.ask()
        before = usage.cpu_seconds(web_pid)
        time.sleep(seconds)
        told = watchers.ask()
        spent = usage.cpu_seconds(web_pid) - before
        return Ages(count, sockets, told["ages"], spent / seconds)


def peer(
    place: site.Site,
    folder: Path,
    answers: Path,
    installation: gpustat_web.Installation,
    count: int,
    seconds: float,
) -> Peer | str:
    """The keeper, then gpustat-web, over the same real sshds; or why there is no such figure."""
    if sshds.program() is None or sys.platform != "linux":
        return "Beside gpustat-web: left out, there is no OpenSSH server (or no 127.0.1.x) here."
    python = installation.python()
    if python is None:
        return "Beside gpustat-web: left out, it could not be installed."
    folder.mkdir()
    with sshds.running_sshds(count, folder, answers) as machines:
        say(f"{count} machines behind real sshds: keeper")
        keeper_ms, keeper_interval = _keeper_on_sshds(place, folder, machines, seconds)
        say(f"{count} machines behind real sshds: gpustat-web")
        peer_ms, peer_interval = _gpustat_web(python, folder, machines, seconds)
    return Peer(
        version=installation.version(),
        machines=count,
        keeper_ms=keeper_ms,
        peer_ms=peer_ms,
        keeper_interval_seconds=keeper_interval,
        peer_interval_seconds=peer_interval,
    )


def _keeper_on_sshds(
    place: site.Site, folder: Path, machines: list[dict[str, object]], seconds: float
) -> tuple[float, float]:
    fleet = folder / "fleet.json"
    fleet.write_text(json.dumps({"machines": machines}), "utf-8")
    site.seed(place, fleet)
    with site.keeping(place, len(machines)) as keeping:
        time.sleep(_SETTLE_SECONDS)
        spent, samples = _window(
            seconds,
            {"keeper": lambda: usage.cpu_seconds(keeping.keeper_pid)},
            {"keeper": lambda: site.samples_seen(place)[1]},
        )
    interval = seconds * len(machines) / samples["keeper"]
    return per_sample_ms(spent["keeper"], samples["keeper"]), interval


def _gpustat_web(
    python: Path, folder: Path, machines: list[dict[str, object]], seconds: float
) -> tuple[float, float]:
    with gpustat_web.polling(python, machines, folder, free_port()) as process:
        log = folder / "gpustat-web.log"
        enough = 2 * len(machines)
        wait_until(lambda: sshds.polls(folder) >= enough, 60, "gpustat-web polls nothing", log)
        spent, samples = _window(
            seconds,
            {"peer": lambda: usage.cpu_seconds(process.pid)},
            {"peer": lambda: sshds.polls(folder)},
        )
    interval = seconds * len(machines) / samples["peer"]
    return per_sample_ms(spent["peer"], samples["peer"]), interval


def _window(
    seconds: float,
    clocks: Mapping[str, Callable[[], float]],
    counters: Mapping[str, Callable[[], int]],
) -> tuple[dict[str, float], dict[str, int]]:
    """How far each clock and counter goes within `seconds`."""
    counted = {name: read() for name, read in counters.items()}
    read_at = {name: read() for name, read in clocks.items()}
    time.sleep(seconds)
    spent = {name: read() - read_at[name] for name, read in clocks.items()}
    return spent, {name: read() - counted[name] for name, read in counters.items()}


def _told(talker: Talker) -> int:
    return int(talker.ask()["samples"])
