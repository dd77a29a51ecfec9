"""`docs/asvs.csv` names what is there: each item of OWASP's ASVS 5.0 that we began with.

A proof is one or more tests, `n/a because …` where the subject does not exist, or `open: …` where
the item is not met or not shown. https://github.com/OWASP/ASVS/tree/v5.0.0
"""

import ast
import csv
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ITEMS = """
1.2.5 1.2.10 1.3.6 1.5.1 2.3.3 2.3.4 2.4.1 3.3.1 3.3.2 3.3.3 3.3.4
3.4.1 3.4.2 3.4.3 3.4.4 3.4.5 3.4.6 3.4.7 3.4.8 3.5.1 4.1.3 4.4.1 4.4.2
5.2.1 5.2.2 5.2.3 5.2.4 5.2.5 5.3.2 5.4.1 5.4.2
6.2.1 6.2.4 6.2.12 6.3.1 6.3.3 6.3.8 6.5.1 7.2.4 7.3.1 7.3.2 7.4.1 7.4.2 7.4.3 7.4.4 7.4.5 7.5.3
8.2.1 8.2.2 8.2.3 8.3.1 8.3.2 8.4.1 11.3.2 11.3.3 11.3.4 11.4.2
13.1.2 13.1.3 13.2.4 13.3.1 14.2.1 14.3.2 15.1.2 15.2.2 15.3.3 15.4.1 15.4.2 15.4.3
16.2.5 16.3.1 16.3.2 16.3.3 16.4.1 16.5.1 16.5.2 16.5.3 16.5.4
"""
_REASON = re.compile(r"(n/a because|open:) .{20,}")


def rows() -> list[dict[str, str]]:
    with (ROOT / "docs" / "asvs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def functions_of(path: str) -> frozenset[str]:
    """The names of the test functions of a file; none if there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


def exists(proof: str) -> bool:
    path, _, name = proof.partition("::")
    return name.startswith("test_") and name in functions_of(path)


def test_every_item_is_there_once_and_in_order() -> None:
    assert [row["item"] for row in rows()] == ITEMS.split()
    assert {row["level"] for row in rows()} == {"1", "2", "3"}


def test_every_proof_is_a_test_that_exists_or_a_reason() -> None:
    missing = [
        f"{row['item']}: {proof}"
        for row in rows()
        if not _REASON.fullmatch(row["proof"])
        for proof in row["proof"].split() or ["nothing"]
        if not exists(proof)
    ]
    assert missing == []


def test_a_name_that_is_no_test_is_not_taken_for_one() -> None:
    assert not exists("tests/hardening/test_asvs.py::test_that_nobody_wrote")
    assert not exists("tests/hardening/test_asvs.py::rows")
    assert not exists("tests/hardening/no_such_file.py::test_x")
