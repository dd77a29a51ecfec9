"""The command line of `dgxsite`: which commands there are and what they take."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dgxsite_client.errors import Misuse

_DAY = timedelta(days=1)
_RAW = "to a terminal too, pass on what steers it (colours, cursor); a pipe always gets it"


def parser() -> argparse.ArgumentParser:
    """The whole command line; each command sets `command`."""
    root = argparse.ArgumentParser(
        prog="dgxsite", description="Jobs on your team's GPU machines.", allow_abbrev=False
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    logs = commands.add_parser("logs", help="print a job's log")
    logs.add_argument("job", help="its id, the beginning of it, or its name (the newest)")
    logs.add_argument("-f", "--follow", action="store_true", help="until the job has ended")
    logs.add_argument("--raw", action="store_true", help=_RAW)
    stop = commands.add_parser("stop", help="end jobs")
    stop.add_argument("jobs", nargs="+", metavar="job")
    ps = commands.add_parser("ps", help="the jobs that wait or run")
    ps.add_argument("-a", "--all", action="store_true", help="also those that have ended")
    ps.add_argument("-n", "--number", type=int, default=50, help="at most so many (50)")
    commands.add_parser("gpus", help="every GPU, and who is on it")
    login = commands.add_parser("login", help="keep the site's address and a token")
    login.add_argument("--url", default=os.environ.get("DGXSITE_URL"))
    return root


def _add_run(commands: Any) -> None:
    run = commands.add_parser("run", help="start a job", allow_abbrev=False)
    run.add_argument("-p", "--project", required=True, help="its id or name")
    run.add_argument("-m", "--machine", help="of several projects with this name, that on it")
    run.add_argument("--name", help="of the job; the program unless told")
    run.add_argument("-g", "--gpus", default="0", help="how many, or which: 2 or 0,1 or MIG-…")
    run.add_argument("-e", "--env", action="append", default=[], metavar="NAME[=VALUE]")
    run.add_argument("--image", help="run in a container of this image")
    run.add_argument("--venv", metavar="FOLDER", help="activate this virtual environment before")
    run.add_argument("--conda", metavar="NAME", help="activate this conda environment before")
    run.add_argument("--config", metavar="FILE", help="JSON instead of the project's; - is stdin")
    run.add_argument("--model", default="", help="what is trained, for the lists")
    run.add_argument("--after", metavar="JOB", help="not before this one is completed")
    run.add_argument("--at", metavar="TIME", help="not before then: 22:00 or 2026-11-23T22:00")
    run.add_argument("--now", action="store_true", help="do not wait for a GPU that others use")
    run.add_argument("--priority", type=int, default=0)
    run.add_argument("--max-minutes", type=int)
    run.add_argument("--retries", type=int, default=0)
    run.add_argument("-w", "--wait", action="store_true", help="follow the log to the end")
    run.add_argument("-q", "--quiet", action="store_true", help="with --wait: without the log")
    run.add_argument("--raw", action="store_true", help=_RAW)
    run.add_argument("line", nargs=argparse.REMAINDER, metavar="-- COMMAND")


def job_body(
    options: argparse.Namespace, project_id: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    """What the API takes for `run`, but for `after`; raises `Misuse`."""
    words = options.line[1:] if options.line[:1] == ["--"] else options.line
    if not words and options.image is None:
        raise Misuse("Say what to run: dgxsite run --project p -- python train.py")
    body = {
        "project_id": project_id,
        "name": options.name or _name_of(words, options.image),
        "command": command_of(words),
        "gpus": gpus_of(options.gpus),
        "environment": dict(_variable(text, environment) for text in options.env),
        "wait_for_gpu": not options.now,
        "priority": options.priority,
        "max_minutes": options.max_minutes,
        "max_retries": options.retries,
        "model_name": options.model,
        "virtualenv": options.venv,
        "conda_env": options.conda,
        "not_before": options.at and moment(options.at, datetime.now().astimezone()).isoformat(),
    }
    if options.image:
        body |= {"kind": "container", "image": options.image}
    return body | ({"config": _config(options.config)} if options.config else {})


def command_of(words: Sequence[str]) -> str:
    """One word is a line of shell as it stands; several are quoted, so that none is read twice."""
    return words[0] if len(words) == 1 else shlex.join(words)


def moment(text: str, now: datetime) -> datetime:
    """A time of day is the next such; without an offset it is this machine's time."""
    try:
        if "-" in text:
            return datetime.fromisoformat(text).astimezone()
        hour = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 – a time of day alone
    except (ValueError, OverflowError):
        raise Misuse("--at takes 22:00, 2026-11-23T22:00 or 2026-11-23T22:00+01:00.") from None
    then = datetime.combine(now.date(), hour).astimezone()
    return then if then > now else datetime.combine(now.date() + _DAY, hour).astimezone()


def _config(name: str) -> dict[str, Any]:
    """The file, or stdin; what a name means that stands twice would be a guess."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands twice in an object")
        return found

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
        value = json.loads(text, object_pairs_hook=unique)
    except (OSError, ValueError, RecursionError) as error:
        raise Misuse(f"The configuration {name} cannot be sent: {error}") from None
    if not isinstance(value, dict):
        raise Misuse(f"The configuration {name} cannot be sent: it is no JSON object.")
    return value


def gpus_of(text: str) -> int | list[int | str]:
    """`2` is a count; `0,1` and `MIG-…` are these. `0,` is GPU 0 alone."""
    if "," not in text and _is_number(text):
        return int(text)
    keys = [part.strip() for part in text.split(",") if part.strip()]
    if not keys:
        raise Misuse("--gpus takes a count, or indices and MIG UUIDs with commas between them.")
    return [int(key) if _is_number(key) else key for key in keys]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _name_of(words: Sequence[str], image: str | None) -> str:
    if len(words) == 1:
        return words[0].strip()[:100] or "job"
    return " ".join(words)[:100].strip() or str(image)[:100]


def _variable(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """`NAME=VALUE`, or `NAME` with the value that it has here, which no list of processes shows."""
    name, sign, value = text.partition("=")
    if sign:
        return name, value
    if name not in environment:
        raise Misuse(f"{name} is not set here; say --env {name}=VALUE.")
    return name, environment[name]
