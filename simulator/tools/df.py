"""The fake `df`: the disks of the simulated machine, in the layouts that scripts ask for."""

import sys

from simulator.tools.tables import Row, read_table

_BLOCKS = {"k": 1024, "m": 1024**2, "1": 1, "1k": 1024, "1m": 1024**2, "1024": 1024}
_IGNORED_LETTERS = frozenset("lakPh")


def main(state_dir: str, arguments: list[str]) -> int:
    """Be df. Understands -k -m -P -T -l -a -h -B SIZE -t/-x TYPE and paths; refuses the rest."""
    block, with_type, paths = 1024, False, []
    only: list[str] = []
    excluded: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            paths += rest
            break
        if argument.startswith(("--block-size=", "-B")):
            size = argument.removeprefix("--block-size=").removeprefix("-B") or rest.pop(0)
            block = _BLOCKS.get(size.lower(), 1024)
        elif argument in ("-t", "-x"):
            (only if argument == "-t" else excluded).append(rest.pop(0))
        elif argument in ("--local", "--portability", "--print-type"):
            with_type = with_type or argument == "--print-type"
        elif argument.startswith("-") and set(argument[1:]) <= _IGNORED_LETTERS | {"T", "m"}:
            with_type = with_type or "T" in argument
            block = 1024**2 if "m" in argument else block
        elif argument.startswith("-"):
            sys.stderr.write(f"df: unrecognized option '{argument}'\n")
            return 1
        else:
            paths.append(argument)
    disks = [
        disk
        for disk in read_table(state_dir, "disks")
        if disk["kind"] not in excluded and (not only or disk["kind"] in only)
    ]
    _print([_disk_of(path, disks) for path in paths] or disks, block, with_type=with_type)
    return 0


def _disk_of(path: str, disks: list[Row]) -> Row:
    holding = [
        disk for disk in disks if f"{path}/".startswith(disk["mount"].rstrip("/") + "/")
    ] or [disk for disk in disks if disk["mount"] == "/"]
    return max(holding, key=lambda disk: len(disk["mount"]))


def _print(disks: list[Row], block: int, *, with_type: bool) -> None:
    kind = f"{'Type':<6}" if with_type else ""
    sys.stdout.write(
        f"{'Filesystem':<15}{kind}{f'{block}-blocks':>15}{'Used':>15}{'Available':>15}"
        " Capacity Mounted on\n"
    )
    for disk in disks:
        total, used = int(disk["total_kib"]), int(disk["used_kib"])
        kind = f"{disk['kind']:<6}" if with_type else ""
        cells = "".join(f"{kib * 1024 // block:>15}" for kib in (total, used, total - used))
        sys.stdout.write(
            f"{disk['device']:<15}{kind}{cells} {used * 100 // total:>7}% {disk['mount']}\n"
        )
