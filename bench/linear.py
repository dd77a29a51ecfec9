"""How the time of each parser grows with its text: `python -m bench.linear MODE`.

`limits` feeds every parser hostile texts under `RLIMIT_CPU` and says which was the slowest; it is
what the suite runs. `ratios` takes each parser's slowest families again, once and twice as long,
and says how much longer that took: the least of five, of the CPU alone. Each parser has a process
of its own, so that one that never ends, or takes all memory, is one bad line. JSON, a line each.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import django

from bench import hostile
from bench.figures import Growth
from bench.hostile import Family

# Of one text of `SIZE` characters; a linear parser takes a few milliseconds.
MOST_SECONDS = 1.0
SIZE = 32 * 1024
MOST_FAMILIES = 110
# Of one parser and all its texts.
CPU_SECONDS = 60
MEMORY_BYTES = 1536 * 1024 * 1024
# Sizes whose doubles are compared: within the caps of lines, and beyond them.
RATIO_SIZES = (4 * 1024, 64 * 1024)
RATIO_FAMILIES = 100
REPEATS = 5
# A shorter call is made again and again until so much was measured.
_MEASURED_SECONDS = 0.004
_WORST = 3


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory() as directory:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")
        os.environ.setdefault("DGX_DATA_DIR", directory)
        django.setup()
        table = _table()
        work = {"limits": _limits, "ratios": _ratios}[options.mode]
        for number in range(len(table)):
            if options.only in table[number].name:
                answer = _apart(partial(work, table[number], options.seed))
                name = f"{table[number].name}#{number}"
                print(json.dumps({"parser": name, **answer}), flush=True)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.linear")
    parser.add_argument("mode", choices=("limits", "ratios"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="parsers whose name has this in it")
    return parser.parse_args(arguments)


def _table() -> Sequence[Any]:
    """The parsers; their apps have to be loaded first."""
    table: Sequence[Any] = importlib.import_module("bench.parsers").PARSERS
    return table


def _apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` answers in a process of its own; `died` if that ended before."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work_and_exit(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode().splitlines()
    _, status = os.waitpid(pid, 0)
    answer: dict[str, Any] = json.loads(said[-1]) if said else {}
    if status != 0 or "slowest" not in answer:
        return {"died": os.waitstatus_to_exitcode(status), "at": answer.get("at")}
    return answer


def _work_and_exit(work: Callable[[], dict[str, Any]], writing: int) -> None:
    """The child: each text is named before it is read, so that the last one is known."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        global _named
        _named = writing
        _say(work())
        status = 0
    finally:
        os._exit(status)


_named = -1


def _say(what: dict[str, Any]) -> None:
    os.write(_named, json.dumps(what).encode() + b"\n")


def _limits(parser: Any, seed: int) -> dict[str, Any]:
    """The slowest text, and the first that ended in an error which the parser does not have."""
    slowest, at, wrong = 0.0, "", None
    for family in hostile.chosen(parser.examples, MOST_FAMILIES, seed):
        text = family.text(SIZE)
        _say({"at": str(family)})
        began = time.process_time()
        try:
            parser.read(text)
        except parser.raises:
            pass
        except Exception as error:  # noqa: BLE001 (told to who reads the line)
            wrong = wrong or f"{family}: {error!r}"
        spent = time.process_time() - began
        if spent > slowest:
            slowest, at = spent, str(family)
    return {"slowest": round(slowest, 4), "at": at, "error": wrong}


def _ratios(parser: Any, seed: int) -> dict[str, Any]:
    """The greatest ratio among the slowest families, and what was slowest."""
    gc.disable()  # it comes whenever it likes
    every = hostile.chosen(parser.examples, RATIO_FAMILIES, seed)
    found = []
    for size in RATIO_SIZES:
        timed = sorted(every, key=lambda family: -_seconds(parser, family.text(size), 0.0))
        found += [(_ratio(parser, family, size), size, str(family)) for family in timed[:_WORST]]
    ratio, size, family = max(found)
    return {"ratio": round(ratio, 2), "size": size, "at": family, "slowest": 0.0}


def _ratio(parser: Any, family: Family, size: int) -> float:
    """The least of five: what else runs here only makes it greater."""
    once, twice = family.text(size), family.text(2 * size)
    return min(
        _seconds(parser, twice, _MEASURED_SECONDS) / _seconds(parser, once, _MEASURED_SECONDS)
        for _ in range(REPEATS)
    )


def _seconds(parser: Any, text: str, at_least: float) -> float:
    """CPU of one call, from as many as it takes to measure it."""
    began, spent, count = time.process_time(), 0.0, 0
    while not count or spent < at_least:
        with contextlib.suppress(Exception):
            parser.read(text)
        count += 1
        spent = time.process_time() - began
    return max(spent / count, 1e-7)


def measure(seed: int = 1) -> list[Growth]:
    """Every parser's ratio, for the report of the bench; runs this file as a program."""
    argv = [sys.executable, "-m", "bench.linear", "ratios", "--seed", str(seed)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    told = map(json.loads, done.stdout.splitlines())
    # One whose process died has no ratio that could be borne.
    return [
        Growth(one["parser"], one.get("ratio", float("inf")), one.get("at") or "") for one in told
    ]


if __name__ == "__main__":
    sys.exit(main())
