"""The fake `docker`: the subcommands that a site or a person at a shell uses.

`docker run` really runs the command (the image is only a name), so that output, exit codes and
`docker stop` are true. The daemon can be missing or refuse: see `docker-mode` below the state.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial

from simulator.tools import containers as store
from simulator.tools.containers import Container
from simulator.tools.docker_format import render
from simulator.tools.trouble import ToolFailed

_REFUSALS = {
    "denied": "permission denied while trying to connect to the Docker daemon socket at "
    'unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.47/containers/json": '
    "dial unix /var/run/docker.sock: connect: permission denied",
    "stopped": "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?",
}
_WITH_VALUE = (
    "--name --gpus -e --env -v --volume -w --workdir -p --publish --label -l --user -u --ipc "
    "--shm-size --memory -m --cpus --network --runtime --entrypoint --ulimit --env-file "
    "--hostname --format -f --filter --tail -n --since --signal -s -t --time --restart --mount "
    "--stop-timeout --pull --cidfile"
)
_WITHOUT_VALUE = (
    "-a --all --no-trunc -q --quiet --no-stream -d --detach --rm -i -t -it --init --tty "
    "--interactive --follow --force -ti"
)
_KEEP_EXIT_CODE = (
    'log=$1 code=$2; shift 2; "$@" >>"$log" 2>&1; echo $? >"$code.new"; mv "$code.new" "$code"'
)
_VALUE_OPTIONS = frozenset(_WITH_VALUE.split())
_FLAGS = frozenset(_WITHOUT_VALUE.split())


def main(state_dir: str, arguments: list[str]) -> int:
    """Be docker; 125 for what this imitation does not know, as docker for its own errors."""
    if not arguments:
        sys.stdout.write("Usage:  docker [OPTIONS] COMMAND\n")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "container" and rest:
        name, rest = rest[0], rest[1:]
    name = {"ls": "ps", "list": "ps"}.get(name, name)
    if name in ("--version", "-v"):
        sys.stdout.write("Docker version 28.3.3, build 980b856 (simulated)\n")
        return 0
    if name not in _COMMANDS:
        return _error(f"docker: '{name}' is not a docker command.", 125)
    _refuse(state_dir)
    return _COMMANDS[name](state_dir, _Call(rest))


class _Call:
    """Options and words of one subcommand; `docker run` keeps the command apart."""

    def __init__(self, arguments: list[str]) -> None:
        self.options: dict[str, list[str]] = {}
        rest = list(arguments)
        while rest and rest[0].startswith("-"):
            name, equals, value = rest.pop(0).partition("=")
            is_flag = name in _FLAGS and not (name == "-t" and rest and rest[0].isdigit())
            if not equals and not is_flag and name in _VALUE_OPTIONS:
                value = rest.pop(0) if rest else ""
            self.options.setdefault(name, []).append(value)
        self.words = rest

    def has(self, *names: str) -> bool:
        return any(name in self.options for name in names)

    def value(self, *names: str) -> str | None:
        return next((self.options[name][-1] for name in names if name in self.options), None)


def _refuse(state_dir: str) -> None:
    try:
        with open(f"{state_dir}/docker-mode", encoding="utf-8") as file:
            mode = file.read().strip()
    except FileNotFoundError:
        return
    if mode in _REFUSALS:
        raise ToolFailed(_error(_REFUSALS[mode], 1))


def _error(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    return status


def _ps(state_dir: str, call: _Call) -> int:
    now = time.time()
    rows = []
    with store.opened(state_dir) as containers:
        for container in containers:
            if container["is_running"] or call.has("-a", "--all"):
                rows.append(_ps_row(container, now, is_whole=call.has("--no-trunc")))
    wanted = [text.partition("=")[2] for text in call.options.get("--filter", [])]
    rows = [row for row in rows if all(word in row.values() for word in wanted)]
    if call.has("-q", "--quiet"):
        sys.stdout.writelines(f"{row['ID']}\n" for row in rows)
    else:
        columns = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
        sys.stdout.write(render(call.value("--format"), rows, columns))
    return 0


def _ps_row(container: Container, now: float, *, is_whole: bool) -> dict[str, str]:
    created = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(container["created_at"]))
    running_for = store.uptime_text(now - container["started_at"])
    status = f"Up {running_for}"
    if not container["is_running"]:
        status = f"Exited ({container['exit_code']}) {running_for} ago"
    return {
        "Command": f'"{" ".join(container["command"])}"',
        "CreatedAt": created,
        "ID": container["id"] if is_whole else container["id"][:12],
        "Image": container["image"],
        "Labels": "",
        "LocalVolumes": "0",
        "Mounts": "",
        "Names": container["name"],
        "Networks": "bridge",
        "Ports": container["ports"],
        "RunningFor": f"{store.uptime_text(now - container['created_at'])} ago",
        "Size": "0B",
        "State": "running" if container["is_running"] else "exited",
        "Status": status,
    }


def _stats(state_dir: str, call: _Call) -> int:
    rows = []
    total_gib = store.memory_total_gib(state_dir)
    with store.opened(state_dir) as containers:
        for container in containers:
            if not container["is_running"] or (
                call.words and store.find([container], call.words[0]) is None
            ):
                continue
            wave = 1 + 0.2 * ((time.time() // 5) % 3 - 1)
            used_gib = container["load"] * 2.4 * wave + 0.01
            short = container["id"][:12]
            rows.append(
                {
                    "BlockIO": "1.2GB / 340MB",
                    "CPUPerc": f"{container['load'] * 100 * wave:.2f}%",
                    "Container": short,
                    "ID": short,
                    "MemPerc": f"{container['load'] * 2 * wave:.2f}%",
                    "MemUsage": f"{used_gib:.3f}GiB / {total_gib:.2f}GiB",
                    "Name": container["name"],
                    "NetIO": "882MB / 18GB",
                    "PIDs": "23",
                }
            )
    columns = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
    sys.stdout.write(render(call.value("--format"), rows, columns))
    return 0


def _inspect(state_dir: str, call: _Call) -> int:
    status, rows = 0, []
    with store.opened(state_dir) as containers:
        for word in call.words:
            container = store.find(containers, word)
            if container is None:
                status = _error(f"Error: No such object: {word}", 1)
            else:
                rows.append(_inspection(container))
    template = call.value("--format", "-f")
    sys.stdout.write(render(template, rows, (), as_list=template is None))
    return status


def _inspection(container: Container) -> dict[str, object]:
    return {
        "Id": container["id"],
        "Name": f"/{container['name']}",
        "Created": store.iso_time(container["created_at"]),
        "State": {
            "Status": "running" if container["is_running"] else "exited",
            "Running": container["is_running"],
            "Pid": container["pid"] or 0,
            "ExitCode": container["exit_code"],
            "StartedAt": store.iso_time(container["started_at"]),
        },
        "Config": {"Image": container["image"], "Cmd": container["command"]},
    }


def _logs(state_dir: str, call: _Call) -> int:
    with store.opened(state_dir) as containers:
        container = store.find(containers, call.words[0] if call.words else "")
    if container is None:
        return _no_such(call.words[0] if call.words else "")
    try:
        with open(store.log_path(state_dir, container), "rb") as file:
            lines = file.readlines()
    except FileNotFoundError:
        lines = [f"{container['image']}: step {step}\n".encode() for step in range(1, 201)]
    tail = call.value("--tail", "-n")
    if tail is not None and tail.isdigit():
        lines = lines[-int(tail) :] if int(tail) else []
    sys.stdout.flush()
    os.write(1, b"".join(lines))
    return 0


def _no_such(word: str) -> int:
    return _error(f"Error response from daemon: No such container: {word}", 1)


def _change(state_dir: str, call: _Call, verb: str) -> int:
    status = 0
    with store.opened(state_dir) as containers:
        for word in call.words:
            container = store.find(containers, word)
            if container is None:
                status = _no_such(word)
                continue
            _apply(state_dir, containers, container, verb)
            sys.stdout.write(f"{word}\n")
    return status


def _apply(state_dir: str, containers: list[Container], container: Container, verb: str) -> None:
    if verb in ("stop", "restart", "kill", "rm") and container["is_running"]:
        _end_process(container, signal.SIGKILL if verb in ("kill", "rm") else signal.SIGTERM)
        container["is_running"] = False
        container["exit_code"] = 137 if verb in ("kill", "rm") else 143
    if verb in ("start", "restart") and not container["is_running"]:
        container |= {"is_running": True, "exit_code": 0, "started_at": time.time()}
        if container["pid"] is not None:
            container["pid"] = _start_detached(state_dir, container)
    if verb == "rm":
        containers.remove(container)


def _end_process(container: Container, number: signal.Signals) -> None:
    if container["pid"] is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(container["pid"], number)


def _run(state_dir: str, call: _Call) -> int:
    if not call.words:
        return _error('"docker run" requires at least 1 argument.', 125)
    image, command = call.words[0], call.words[1:] or ["true"]
    identity = uuid.uuid4().hex * 2
    name = call.value("--name") or f"simulated_{identity[:6]}"
    container = store.create(name, image, command, identity, time.time())
    container |= {"is_running": True, "pid": 0}
    with store.opened(state_dir) as containers:
        if store.find(containers, name) is not None:
            return _error(
                "docker: Error response from daemon: Conflict. The container name "
                f'"/{name}" is already in use.',
                125,
            )
    environment = _environment(call)
    if call.has("-d", "--detach"):
        container["pid"] = _start_detached(state_dir, container, environment)
        _keep(state_dir, container)
        sys.stdout.write(f"{identity}\n")
        return 0
    return _run_attached(state_dir, call, container, environment)


def _environment(call: _Call) -> dict[str, str]:
    pairs = [pair.partition("=") for name in ("-e", "--env") for pair in call.options.get(name, [])]
    return {**os.environ, **{name: value for name, _, value in pairs}}


def _keep(state_dir: str, container: Container) -> None:
    with store.opened(state_dir) as containers:
        containers.append(container)


def _start_detached(
    state_dir: str, container: Container, environment: dict[str, str] | None = None
) -> int:
    log, code = store.log_path(state_dir, container), store.exit_path(state_dir, container)
    if os.path.exists(code):
        os.unlink(code)
    process = subprocess.Popen(
        ["/bin/sh", "-c", _KEEP_EXIT_CODE, "sh", log, code, *container["command"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    return process.pid


def _run_attached(
    state_dir: str, call: _Call, container: Container, environment: dict[str, str]
) -> int:
    try:
        process = subprocess.Popen(container["command"], start_new_session=True, env=environment)
    except FileNotFoundError:
        return _error(f'docker: exec: "{container["command"][0]}": not found', 127)
    container["pid"] = process.pid
    _keep(state_dir, container)
    # The docker client hands the signals it gets to the container.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: os.killpg(process.pid, got))
    code = process.wait()
    status = 128 - code if code < 0 else code
    with store.opened(state_dir) as containers:
        kept = store.find(containers, container["id"])
        if kept is not None:
            kept |= {"is_running": False, "exit_code": status}
            if call.has("--rm"):
                containers.remove(kept)
    return status


def _info(state_dir: str, call: _Call) -> int:
    row: dict[str, object] = {"ServerVersion": "28.3.3", "Server": {"Version": "28.3.3"}}
    sys.stdout.write(render(call.value("--format", "-f") or "json", [row], ()))
    return 0


_COMMANDS: dict[str, Callable[[str, _Call], int]] = {
    "ps": _ps,
    "stats": _stats,
    "inspect": _inspect,
    "logs": _logs,
    "run": _run,
    "info": _info,
    "version": _info,
    "start": partial(_change, verb="start"),
    "stop": partial(_change, verb="stop"),
    "restart": partial(_change, verb="restart"),
    "kill": partial(_change, verb="kill"),
    "rm": partial(_change, verb="rm"),
}
