"""Putting the fake tools on the PATH of one machine, and the common start and end of each."""

import os
import sys
from collections.abc import Callable

from simulator.tools.trouble import ToolFailed, suffer

Main = Callable[[str, list[str]], int]

# tool -> the module below simulator.tools whose `main(state_dir, arguments)` is the tool
PYTHON_TOOLS = {
    "nvidia-smi": "nvidia_smi",
    "rocm-smi": "rocm_smi",
    "docker": "docker",
    "df": "df",
    "ps": "ps",
}

# Programs that may be given a file of the simulated machine; the rest of the system stays real.
FILE_TOOLS = ("cat", "head", "tail", "grep", "awk", "sed", "cut", "wc", "stat", "readlink")

# Where programs of the host are found.
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

# A machine without one of these must not show the host's own.
HIDDEN_TOOLS = ("nvidia-smi", "rocm-smi", "amd-smi", "docker", "tegrastats")

_LAUNCHER = """#!{python} -IS
import sys
sys.path.insert(0, {package_parent!r})
from simulator.tools import launch, {module}
launch.run({module}.main, {name!r}, {state_dir!r})
"""

# One fork less than a wrapper that stays: it becomes the real program.
_FILE_WRAPPER = """#!/bin/sh
n=$#
while [ "$n" -gt 0 ]; do
  a=$1; shift; n=$((n-1))
  case $a in
    /proc/*|/sys/*|/etc/hostname|/etc/os-release) [ -e '{root}'"$a" ] && a='{root}'$a ;;
  esac
  set -- "$@" "$a"
done
exec {program} "$@"
"""

# The owner of a simulated job, as `ls -ld /proc/PID` tells it.
_LS = """#!/bin/sh
if [ "$#" -eq 2 ] && [ "$1" = -ld ] && [ -f '{root}'"$2/owner" ]; then
  read -r owner <'{root}'"$2/owner"
  echo "dr-xr-xr-x 9 $owner $owner 0 Jan  1 00:00 $2"
  exit
fi
exec {program} "$@"
"""

_MISSING = "#!/bin/sh\necho 'sh: 1: {name}: not found' >&2\nexit 127\n"
_ANSWER = "#!/bin/sh\necho '{answer}'\n"


def install(
    bin_dir: str, state_dir: str, root_dir: str, tools: tuple[str, ...], answers: dict[str, str]
) -> None:
    """Write the programs of one machine into `bin_dir`.

    `tools` are names of `PYTHON_TOOLS`; `answers` are programs that always print one line.
    """
    package_parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name in tools:
        text = _LAUNCHER.format(
            python=os.path.realpath(sys.executable),
            package_parent=package_parent,
            module=PYTHON_TOOLS[name],
            name=name,
            state_dir=state_dir,
        )
        _write_program(f"{bin_dir}/{name}", text)
    wrappers = {**dict.fromkeys(FILE_TOOLS, _FILE_WRAPPER), "ls": _LS}
    for name, wrapper in wrappers.items():
        program = _real_program(name)
        if program is not None:
            text = wrapper.format(root=root_dir, program=program)
            _write_program(f"{bin_dir}/{name}", text)
    for name in HIDDEN_TOOLS:
        if name not in tools:
            hide(bin_dir, name)
    for name, answer in answers.items():
        _write_program(f"{bin_dir}/{name}", _ANSWER.format(answer=answer))


def hide(bin_dir: str, name: str) -> None:
    """Make `name` a program that is not there: where the host has it, one that says so."""
    folders = SYSTEM_PATH.split(":")
    if any(os.access(f"{folder}/{name}", os.X_OK) for folder in folders):
        _write_program(f"{bin_dir}/{name}", _MISSING.format(name=name))


def run(main: Main, name: str, state_dir: str) -> None:
    """Be the tool `name`: fail if that was asked, else run `main`, and exit with its status."""
    try:
        suffer(state_dir, name)
        status = main(state_dir, sys.argv[1:])
        sys.stdout.flush()
    except ToolFailed as failure:
        status = failure.status
    except (BrokenPipeError, KeyboardInterrupt):
        # Whoever read us is gone: end as a program killed by SIGPIPE does, without a traceback.
        status = 141
    os._exit(status)


def _real_program(name: str) -> str | None:
    for folder in ("/usr/bin", "/bin"):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    return None


def _write_program(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)
