"""The files that a job's start puts on its machine: pure, from a row to bytes.

Two kinds: a command runs in the project's folder; a container is started by a `docker run` whose
every argument is chosen here, from a list of what is allowed – an image, GPUs, the project's folder
–, so that nothing a person writes becomes an option of docker.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from jobs.queue.devices import CONTAINER_PREFIX
from jobs.remote.protocol import LOG_BLOCK_BYTES

# What `sleep` is told in place of "for ever": ten years.
NO_LIMIT_SECONDS = 315_360_000
# Between TERM and KILL.
GRACE_SECONDS = 30
_COMMAND_INSIDE = "/dgxsite/command"
_CONFIG_INSIDE = "/dgxsite/config.json"
# What /dev/shm may hold: half the memory, as outside, instead of docker's 64 MiB, with which the
# workers of a data loader end by a bus error.
_SHARED_MEMORY = """shm=$(awk '/^MemTotal:/ {printf "%dk", $2/2}' /proc/meminfo)"""
_IMAGE = re.compile(
    r"(?=.{1,500}\Z)[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d{1,5})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run. Seconds; `folder` is absolute; `granted` are indices and MIG UUIDs."""

    job_id: UUID
    folder: str
    command: str
    environment: Mapping[str, str]
    granted: Sequence[str]
    config: Mapping[str, object]
    image: str = ""
    virtualenv: str = ""
    conda_env: str = ""
    max_seconds: int | None = None
    grace_seconds: int = GRACE_SECONDS
    log_limit_bytes: int = 256 * 2**20


def is_image(text: str) -> bool:
    """Whether it is the reference of an image, and nothing that docker would take otherwise."""
    return _IMAGE.fullmatch(text) is not None


def files(plan: Plan) -> dict[str, bytes]:
    """Name → content of each file, as `supervisor.sh` reads them."""
    texts = {
        "folder": plan.folder,
        "command": plan.command,
        "environment": _lines(_environment(plan)),
        "config.json": json.dumps(plan.config),
        "limits": f"{plan.log_limit_bytes // LOG_BLOCK_BYTES} "
        f"{plan.max_seconds or NO_LIMIT_SECONDS} {plan.grace_seconds}\n",
    }
    if plan.image:
        texts |= _container(plan)
    else:
        texts |= {"virtualenv": plan.virtualenv, "conda": plan.conda_env}
    return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}


def shown_command(plan: Plan) -> str:
    """The exact command, for people."""
    return _container(plan)["command"] if plan.image else plan.command


def visible_devices(granted: Sequence[str]) -> dict[str, str]:
    """The variables that show a program its GPUs and no other; none granted hides them all."""
    keys = ",".join(granted)
    variables = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": keys}
    if all(key.isdecimal() for key in granted):
        variables["HIP_VISIBLE_DEVICES"] = keys
    return variables


def _environment(plan: Plan) -> dict[str, str]:
    own = {
        "DGXSITE_JOB_ID": str(plan.job_id),
        "PYTHONUNBUFFERED": "1",  # a log that is followed should not come in blocks
    }
    return own | dict(plan.environment) | visible_devices(plan.granted)


def _container(plan: Plan) -> dict[str, str]:
    """The command becomes a script of one `docker run`; the person's command a file inside."""
    environment = {
        name: value
        for name, value in _environment(plan).items()
        # Inside, the granted GPUs are the only ones and are numbered from 0.
        if name not in visible_devices(plan.granted)
    }
    return {
        "command": f"here=${{0%/*}}\n{_SHARED_MEMORY}\nexec {' '.join(_docker_run(plan))}\n",
        "inside": plan.command,
        "container.env": _lines(environment),
        "environment": "",
    }


def _docker_run(plan: Plan) -> list[str]:
    """Words of a shell line. `$here` is the job's folder; everything else is quoted."""
    inside = ["--entrypoint", "sh", plan.image, _COMMAND_INSIDE] if plan.command else [plan.image]
    # An image of NVIDIA's asks for every GPU, which its runtime gives where it is the default one.
    gpus = ["--env", "NVIDIA_VISIBLE_DEVICES=void"]
    if plan.granted:
        gpus = ["--gpus", f'"device={",".join(plan.granted)}"']
    name = f"{CONTAINER_PREFIX}{plan.job_id}"
    words = ["docker", "run", "--rm", "--init", "--name", name]
    words += ["--label", f"dgxsite.job={plan.job_id}", *gpus]
    words += ["--volume", f"{plan.folder}:{plan.folder}", "--workdir", plan.folder]
    quoted = [shlex.quote(word) for word in words]
    mounts = ["--cidfile", '"$here/container"', "--env-file", '"$here/container.env"']
    mounts += ["--volume", f'"$here/inside":{_COMMAND_INSIDE}:ro']
    mounts += ["--volume", f'"$here/config.json":{_CONFIG_INSIDE}:ro']
    mounts += ["--shm-size", '"${shm:-1g}"']
    return [*quoted, *mounts, *(shlex.quote(word) for word in inside)]


def _lines(variables: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in variables.items())
