"""The exact command of a job for people, before it runs and afterwards.

It is read from the very files that a start puts on the machine (`jobs/remote/launch.py`). Values of
secret variables are masked. The GPUs that the queue has yet to choose stand as words.
"""

import json
import shlex
from typing import Any
from uuid import UUID

from jobs.hidden_values import shown_environment
from jobs.models import Job, Kind
from jobs.remote import launch as remote_launch

_UNCHOSEN = "chosen-when-it-starts"
_UNMADE = "given-when-it-is-made"


def script(job: Job) -> str:
    """What runs, as lines of a shell. Nothing is asked of the machine."""
    plan = _plan(job)
    if job.kind == Kind.CONTAINER and not job.image:
        return ""
    files = {
        name: data.decode("utf-8", "replace") for name, data in remote_launch.files(plan).items()
    }
    text = _of_container(files) if plan.image else _of_command(files)
    return text.replace(str(job.pk), _UNMADE) if job._state.adding else text


def config_text(config: dict[str, Any]) -> str:
    return json.dumps(config, indent=2, ensure_ascii=False)


def _plan(job: Job) -> remote_launch.Plan:
    return remote_launch.Plan(
        job_id=UUID(str(job.pk)),
        folder=job.project.resolved_path or job.project.remote_path,
        command=job.command,
        environment=shown_environment(job),
        granted=_devices(job),
        config=job.config,
        image=job.image,
        virtualenv=job.virtualenv,
        conda_env=job.conda_env,
    )


def _devices(job: Job) -> list[str]:
    if job.granted is not None:
        return job.granted
    if isinstance(job.gpus, list):
        return [str(one) for one in job.gpus]
    return [_UNCHOSEN] if job.gpus else []


def _of_command(files: dict[str, str]) -> str:
    lines = [f"cd -- {shlex.quote(files['folder'])}"]
    lines += [f"export {_assigned(line)}" for line in files["environment"].splitlines()]
    if files["virtualenv"]:
        lines.append(f". {shlex.quote(files['virtualenv'] + '/bin/activate')}")
    if files["conda"]:
        lines.append(f"conda activate {shlex.quote(files['conda'])}")
    return "\n".join([*lines, files["command"]])


def _of_container(files: dict[str, str]) -> str:
    lines = [files["command"].strip()]
    lines += [
        f"# in the container: {_assigned(line)}" for line in files["container.env"].splitlines()
    ]
    if files["inside"]:
        lines += ["# /dgxsite/command:", files["inside"]]
    return "\n".join(lines)


def _assigned(line: str) -> str:
    name, _, value = line.partition("=")
    return f"{name}={shlex.quote(value)}"
