"""Each parser against hostile texts, in a child under `RLIMIT_CPU`; and the table is complete.

Which texts are tried beside the plain ones is drawn anew each time (`DGX_LINEAR_SEED` repeats it).
"""

import ast
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import hostile, linear
from bench.parsers import PARSERS, Parser

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = [f"{parser.name}#{number}" for number, parser in enumerate(PARSERS)]
# Whose functions take text that a machine or a job has sent.
MODULES = [
    *sorted((ROOT / "metrics" / "collectors").rglob("*.py")),
    *(ROOT / name for name in (
        "jobs/tracking/better.py", "jobs/tracking/curves.py", "jobs/tracking/ansi.py",
        "jobs/pages/container.py",
        "jobs/log/first_error.py", "jobs/log/viewer.py", "jobs/log/store.py", "jobs/masking.py",
        "jobs/remote/origin.py", "jobs/remote/protocol.py", "jobs/tracking/parse.py",
        "connections/files/browse.py", "connections/diagnose.py", "connections/ssh/host_keys.py",
        "core/formats.py", "projects/json_lines.py",
    )),
]  # fmt: skip
TEXTS = {"str", "bytes", "str | bytes", "Iterable[str]", "Sequence[str]", "list[str]"}
# Public functions of those modules that take text, but none from outside.
NOT_FROM_OUTSIDE = {
    "connections.files.browse.Machine.tree": "a folder of ours; asks the machine",
    "connections.files.browse.Tree.resolve": "asks the machine",
    "connections.files.browse.Tree.describe": "asks the machine",
    "connections.files.browse.Tree.folder": "asks the machine",
    "connections.files.browse.Tree.target": "asks the machine",
    "connections.files.browse.Tree.open": "asks the machine",
    "connections.files.browse.Tree.absolute": "joins two paths",
    "connections.ssh.host_keys.check_fingerprint": "one match of a fixed length",
    "jobs.tracking.curves.Curves.load": "what its own dump made",
    "jobs.remote.protocol.report": "a marker of ours",
    "jobs.remote.protocol.stop": "a marker of ours",
    "jobs.remote.protocol.start": "a marker of ours",
    "metrics.collectors.allowance.Names.take": "one look into a set",
    "metrics.collectors.documents.Documents.end": "a tag",
    "metrics.collectors.nvidia.values.converter": "the name of a field",
    "metrics.collectors.nvidia.query_xml.Element.add": "called by the parser; nvidia_xml.blocks",
    "metrics.collectors.nvidia.query_xml.Element.at": "a path of ours; read with nvidia_xml.blocks",
    "metrics.collectors.nvidia.query_xml.Element.text_at": "a path of ours",
    "metrics.collectors.nvidia.query_xml.Element.rows": "a name of ours",
    "metrics.collectors.nvidia.query_xml.Tree.start": "called by the parser; nvidia_xml.blocks",
    "metrics.collectors.nvidia.query_xml.Tree.end": "called by the parser; nvidia_xml.blocks",
    "metrics.collectors.nvidia.query_xml.Tree.data": "called by the parser; nvidia_xml.blocks",
    "metrics.collectors.linux.proc.counted": "at most 20 digits",
    "metrics.collectors.program.launch": "a marker of ours",
    "metrics.collectors.tokens.Refusals.add": "the name of a field",
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """What each parser's process said."""
    seed = os.environ.get("DGX_LINEAR_SEED") or str(random.randrange(2**31))
    print(f"DGX_LINEAR_SEED={seed}")
    done = subprocess.run(
        [sys.executable, "-m", "bench.linear", "limits", "--seed", seed],
        capture_output=True,
        text=True,
        timeout=230,
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "dgxsite.settings"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {answer["parser"]: answer for answer in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", NAMES)
def test_takes_no_text_for_long_and_raises_only_what_it_says(
    answers: dict[str, Any], name: str
) -> None:
    answer = answers[name]
    assert "died" not in answer, f"it did not survive {answer.get('at')}"
    assert answer["slowest"] <= linear.MOST_SECONDS, answer["at"]
    assert answer["error"] is None


def test_every_parser_is_in_the_table() -> None:
    listed = {parser.name for parser in PARSERS} | NOT_FROM_OUTSIDE.keys()
    found = {name for path in MODULES for name in _public_parsers(path)}
    assert found - listed == set(), "add them to bench/parsers.py"
    assert NOT_FROM_OUTSIDE.keys() - found == set(), "they are gone"


def test_what_is_not_linear_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness itself: a pattern that starts over at each blank, and one that raises."""
    monkeypatch.setattr(linear, "SIZE", 2048)
    pattern = re.compile(r"\s*\s*\[")  # the third power: at the whole size it takes hours
    slow = Parser("slow", pattern.search, ["a [x]"])
    assert _answer(slow)["slowest"] > linear.MOST_SECONDS
    rude = Parser("rude", int, ["1"], (KeyError,))
    assert "ValueError" in _answer(rude)["error"]


def test_what_never_ends_is_one_bad_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "CPU_SECONDS", 1)

    def read(text: str) -> None:
        while True:
            pass

    answer = linear._apart(lambda: linear._limits(Parser("endless", read, ["1"]), 1))
    assert answer["died"] != 0
    assert answer["at"]


def test_a_family_is_as_long_as_wanted() -> None:
    for family in hostile.families(["key = 1.5\n"]):
        assert 900 <= len(family.text(1000)) <= 1000


def _answer(parser: Parser) -> dict[str, Any]:
    """As the program answers, here and in short."""
    said = hostile.Family("", " ", "")
    chosen = hostile.chosen
    try:
        hostile.chosen = lambda *_: [said]
        saying, linear._say = linear._say, lambda what: None
        return linear._limits(parser, 1)
    finally:
        hostile.chosen, linear._say = chosen, saying


def _public_parsers(path: Path) -> Iterator[str]:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and _takes_text(node):
            yield f"{module}.{node.name}"
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            yield from (f"{module}.{node.name}.{m.name}" for m in methods if _takes_text(m))


def _takes_text(node: ast.FunctionDef) -> bool:
    arguments = [one for one in node.args.args if one.arg not in ("self", "cls")]
    if node.name.startswith("_") or not arguments or arguments[0].annotation is None:
        return False
    return ast.unparse(arguments[0].annotation) in TEXTS
