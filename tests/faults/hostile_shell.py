"""What a hostile machine runs in place of the site's program: `hostile_shell.py KIND SECONDS`.

It reads the marker from the program that comes on stdin, so that what it prints is taken for that
program's records. A frame comes every SECONDS, where the kind has frames at all.
"""

import itertools
import os
import sys
import time
from collections.abc import Iterator

_BLOCK = 64 * 1024
_USERS = 4096
_INTERFACES = 512
_ELEMENTS = 100_000
_COUNTERS = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"


def records(marker: str, *lines: str) -> str:
    return "".join(f"{marker}{line}\n" for line in lines)


def frame(marker: str, number: int, interfaces: list[str], gathered: str = "") -> str:
    """A frame of a small machine with these interfaces."""
    files = [
        f"{number * 2}.0 1.0", "0.1 0.1 0.1 1/99 100", f"cpu  {number} 0 0 {number * 9} 0 0 0 0",
        "cpu0 1 2 3 4 5 6 7 8", "MemTotal: 8000000 kB", "MemAvailable: 4000000 kB",
        "Inter-| Receive", " face |bytes", *(f"{name}:{_COUNTERS}" for name in interfaces),
    ]  # fmt: skip
    return f"{marker}F {number}\r" + "\r".join(files) + gathered + f"\rE {number}\n"


def frames(marker: str) -> Iterator[str]:
    for number in itertools.count(1):
        yield frame(marker, number, ["eth0"])


def endless_line(marker: str) -> Iterator[str]:
    yield f"{marker}F 1\r"
    while True:
        yield "A" * _BLOCK


def blanks(marker: str) -> Iterator[str]:
    for one in frames(marker):
        lines = [f"D /dev/sda1{' ' * 30_000}x" for _ in range(20)]
        yield records(marker, *lines, "D.0") + one


def nuls(marker: str) -> Iterator[str]:
    for number in itertools.count(1):
        yield "\0" * _BLOCK + frame(marker, number, ["eth0", "\0eth\0"])


def flood(marker: str) -> Iterator[str]:
    """Whole frames, without a pause."""
    return (one * 200 for one in frames(marker))


def users(marker: str) -> Iterator[str]:
    asked = "P?pid,timestamp,gpu_uuid,used_gpu_memory,process_name"
    for number, one in enumerate(frames(marker), 1):
        rows = [f"P {pid}, t{number}, GPU-1, 5, a" for pid in range(1, _USERS + 1)]
        owners = [f"U {pid} user{pid}-{number} 0::/" for pid in range(1, _USERS + 1)]
        gpu = ["G?index,uuid,name", "G 0, GPU-1, A100"]
        yield records(marker, asked, *gpu, *rows, *owners) + one


def interfaces(marker: str) -> Iterator[str]:
    for number in itertools.count(1):
        yield frame(marker, number, [f"v{number}x{one}" for one in range(_INTERFACES)])


def markers(marker: str) -> Iterator[str]:
    while True:
        yield marker * (_BLOCK // len(marker))


def endless_xml(marker: str) -> Iterator[str]:
    for one in frames(marker):
        yield records(marker, *["X <gpu><a/><a/><a/><a/></gpu>"] * 2000) + one


def empty_elements(marker: str) -> Iterator[str]:
    row = "X " + "<a/>" * 1000
    for one in frames(marker):
        document = [row] * (_ELEMENTS // 1000)
        yield records(marker, "X <x>", *document, "X </x>", "X.0") + one


# Kind → what it prints, and whether it waits between two portions as an honest machine does.
KINDS = {
    "endless_line": (endless_line, False),
    "blanks": (blanks, True),
    "nuls": (nuls, True),
    "flood": (flood, False),
    "users": (users, True),
    "interfaces": (interfaces, True),
    "markers": (markers, False),
    "endless_xml": (endless_xml, True),
    "empty_elements": (empty_elements, True),
}


def main() -> None:
    kind, seconds = sys.argv[1], float(sys.argv[2])
    marker = sys.stdin.readline().split()[1]
    say, waits = KINDS[kind]
    for portion in say(marker):
        data = portion.encode()
        while data:
            data = data[os.write(1, data) :]
        if waits:
            time.sleep(seconds)


if __name__ == "__main__":
    main()
