"""What each command of `dgxsite` does. Results go to stdout, all else to stderr.

The command ends with 0, with the job's own exit code where one was waited for, with 2 for misuse,
1 for other failures, and 130 for Ctrl-C, after which a job goes on.
"""

import argparse
import getpass
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from dgxsite_client import finding, following, settings, tables, terminal
from dgxsite_client.api import Api
from dgxsite_client.errors import Failure, Misuse, Refused
from dgxsite_client.parser import job_body, parser

_LIVING = ("running", "starting", "stopping", "unknown", "queued", "pending")
_INTERRUPTED = 130
_LONGEST_REASON = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what this terminal has no letter for
    try:
        return _COMMANDS[options.command](options)
    except Failure as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("")
        return _INTERRUPTED
    except BrokenPipeError:  # `dgxsite logs job | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def say(words: str) -> None:
    """One line for the person, whoever wrote the words."""
    print(terminal.line(words), file=sys.stderr, flush=True)


def tell(words: str) -> None:
    """One line of the result."""
    print(terminal.line(words), flush=True)


def run(options: argparse.Namespace) -> int:
    """Start a job and print its id."""
    api = _api()
    project = finding.project(api, options.project, options.machine)
    body = job_body(options, project["id"], os.environ)
    if options.after:
        body["after"] = finding.job(api, options.after)["id"]
    job = api.post("/jobs", body)
    if not options.wait:
        tell(job["id"])
        return 0
    say(f"job {job['id']}")
    return _to_the_end(api, job, with_log=not options.quiet, raw=options.raw)


def logs(options: argparse.Namespace) -> int:
    """Print a job's log; with `--follow` to its end."""
    api = _api()
    job = finding.job(api, options.job)
    if options.follow:
        return _to_the_end(api, job, with_log=True, raw=options.raw)
    following.show(api, job["id"], raw=options.raw)
    return 0


def stop(options: argparse.Namespace) -> int:
    """Wish jobs ended; those that cannot be are named, and the others stopped all the same."""
    api, failed = _api(), 0
    for text in options.jobs:
        try:
            job = api.post(f"/jobs/{finding.job(api, text)['id']}/stop")
            tell(f"{job['name']} {job['status']}")
        except (Misuse, Refused) as error:
            say(f"{text}: {error}")
            failed = 1
    return failed


def ps(options: argparse.Namespace) -> int:
    """A table of jobs."""
    api = _api()
    wanted: Sequence[str | None] = (None,) if options.all else _LIVING
    most = min(500, max(1, options.number))
    rows = [row for one in wanted for row in api.get("/jobs", status=one, limit=most)["items"]]
    machines = {row["id"]: row["name"] for row in api.every("/connections")}
    titles = ("ID", "NAME", "STATUS", "MACHINE", "GPUS", "TIME", "BY", "WHY")
    _show(titles, [_job_line(row, machines) for row in rows[:most]])
    return 0


def _job_line(row: dict[str, Any], machines: dict[str, str]) -> Sequence[object]:
    granted = row["granted_gpus"]
    gpus = ",".join(granted) if granted else row["gpus"]
    why = (row["waiting_reason"] or row["detail"] or "")[:_LONGEST_REASON]
    machine = machines.get(row["connection_id"])
    name, by = row["name"][:40], row["requested_by"]
    return row["id"][:8], name, row["status"], machine, gpus, tables.lasted(row), by, why


def gpus(options: argparse.Namespace) -> int:
    """A table of every GPU of every machine."""
    api = _api()
    lines = [line for machine in api.every("/connections") for line in _machine(api, machine)]
    titles = ("MACHINE", "GPU", "NAME", "BUSY", "MEMORY", "TEMP", "POWER", "USED BY")
    _show(titles, lines)
    return 0


def _show(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    for one in tables.lines(titles, rows):
        tell(one)


def _machine(api: Api, machine: dict[str, Any]) -> list[Sequence[object]]:
    """A machine without a sample, or that is away, has one line that says so."""
    if machine["status"] != "connected":
        return [(machine["name"], None, machine["status"], *[None] * 5)]
    try:
        sample = api.get(f"/connections/{machine['id']}/metrics")
    except Refused as error:
        return [(machine["name"], None, str(error), *[None] * 5)]
    return [_gpu_line(machine["name"], gpu, sample) for gpu in sample["gpus"]]


def _gpu_line(machine: str, gpu: dict[str, Any], sample: dict[str, Any]) -> Sequence[object]:
    ids = {gpu["uuid"], *(part["uuid"] for part in gpu["mig"])}
    is_alone = len(sample["gpus"]) == 1
    mine = [p for p in sample["processes"] if p["gpu_uuid"] in ids or is_alone]
    users = sorted({p["user"] or p["container"] or str(p["pid"]) for p in mine})
    return (
        machine,
        gpu["index"],
        gpu["name"],
        tables.percent(gpu["utilization_percent"]),
        tables.memory(gpu["memory_used_bytes"], gpu["memory_total_bytes"]),
        tables.celsius(gpu["temperature_c"]),
        tables.watts(gpu["power_watts"]),
        ", ".join(users),
    )


def login(options: argparse.Namespace) -> int:
    """Ask for a token, try it, and keep it."""
    if not options.url:
        raise Misuse("Say where the site is: dgxsite login --url https://gpu.example.org")
    is_person = sys.stdin.isatty()
    token = (getpass.getpass("Token: ") if is_person else sys.stdin.readline()).strip()
    Api(settings.Settings(settings.checked_url(options.url), token)).get("/jobs", limit=1)
    say(f"kept in {settings.store(os.environ, options.url, token)}")
    return 0


def _to_the_end(api: Api, job: dict[str, Any], *, with_log: bool, raw: bool) -> int:
    try:
        ended = following.follow(api, job["id"], say, with_log=with_log, raw=raw)
    except KeyboardInterrupt:
        say("")
        say(f"The job goes on. Its log: dgxsite logs -f {job['id']}")
        return _INTERRUPTED
    say(following.ending(ended))
    return following.exit_code_of(ended)


def _api() -> Api:
    return Api(settings.load(os.environ))


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "logs": logs,
    "stop": stop,
    "ps": ps,
    "gpus": gpus,
    "login": login,
}
