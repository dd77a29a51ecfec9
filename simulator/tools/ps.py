"""The fake `ps`: real processes as they are, and the simulated jobs when they are asked by pid.

`ps -o FIELDS -p PIDS` knows pid, ppid, user, comm, args and etimes for simulated jobs. Everything
else becomes the real `ps`.
"""

import os
import sys

from simulator.tools.tables import Row, read_table

_TITLES = {
    "pid": "PID",
    "ppid": "PPID",
    "user": "USER",
    "euser": "EUSER",
    "ruser": "RUSER",
    "comm": "COMMAND",
    "args": "COMMAND",
    "cmd": "CMD",
    "command": "COMMAND",
    "etimes": "ELAPSED",
}


def main(state_dir: str, arguments: list[str]) -> int:
    """Be ps; 1 when none of the pids is there, as the real one."""
    pids, columns = _parse(arguments)
    jobs = {row["pid"]: row for row in read_table(state_dir, "processes")}
    asked = [jobs[pid] for pid in pids if pid in jobs]
    if not asked or not columns:
        return _real_ps(arguments)
    if any(title for _, title in columns):
        sys.stdout.write(" ".join(title for _, title in columns) + "\n")
    for job in asked:
        sys.stdout.write(" ".join(_cell(job, name) for name, _ in columns) + "\n")
    others = [pid for pid in pids if pid not in jobs]
    if others and os.access("/bin/ps", os.X_OK):
        sys.stdout.flush()
        os.spawnv(os.P_WAIT, "/bin/ps", ["ps", "-o", _headless(columns), "-p", ",".join(others)])
    return 0


def _parse(arguments: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The pids and the columns (name, title) of a command line."""
    pids: list[str] = []
    columns: list[tuple[str, str]] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument[:2] in ("-p", "-o"):
            value = argument[2:] or (rest.pop(0) if rest else "")
            if argument[1] == "p":
                pids += value.replace(",", " ").split()
            else:
                columns += [_column(part) for part in value.split(",")]
    return pids, columns


def _column(text: str) -> tuple[str, str]:
    name, equals, title = text.partition("=")
    name = name.split(":")[0]
    return name, title if equals else _TITLES.get(name, name.upper())


def _headless(columns: list[tuple[str, str]]) -> str:
    return ",".join(f"{name}=" for name, _ in columns)


def _cell(job: Row, name: str) -> str:
    if name in ("user", "euser", "ruser"):
        return job["user"]
    if name in ("args", "cmd", "command"):
        return f"{job['name']} --simulated"
    if name == "comm":
        return job["name"].rsplit("/", 1)[-1][:15]
    return {"ppid": "1"}.get(name, job.get(name, "-"))


def _real_ps(arguments: list[str]) -> int:
    sys.stdout.flush()
    try:
        os.execv("/bin/ps", ["ps", *arguments])
    except FileNotFoundError:
        # Small container images carry no ps.
        sys.stderr.write("sh: 1: ps: not found\n")
        return 127
