"""The command line of `dgxsite`: which commands there are and what they take."""

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dgxsite_client.errors import Misuse


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
    run.add_argument("--now", action="store_true", help="do not wait for a GPU that others use")
    run.add_argument("--priority", type=int, default=0)
    run.add_argument("--max-minutes", type=int)
    run.add_argument("--retries", type=int, default=0)
    run.add_argument("-w", "--wait", action="store_true", help="follow the log to the end")
    run.add_argument("-q", "--quiet", action="store_true", help="with --wait: without the log")
    run.add_argument("line", nargs=argparse.REMAINDER, metavar="-- COMMAND")


def job_body(
    options: argparse.Namespace, project_id: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    """What the API takes for `run`; raises `Misuse`."""
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
    }
    return body | ({"kind": "container", "image": options.image} if options.image else {})


def command_of(words: Sequence[str]) -> str:
    """One word is a line of shell as it stands; several are quoted, so that none is read twice."""
    return words[0] if len(words) == 1 else shlex.join(words)


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
