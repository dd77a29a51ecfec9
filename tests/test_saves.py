"""Nobody writes a whole row that somebody else may have changed since it was read.

`save()` without `update_fields` writes every column as it was read, and inserts a row again that
was deleted meanwhile. In the product it stands only where the row is new or locked: here are those
places, read from the source, each with its reason.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.product import PACKAGES, ROOT

# Module and function → why nothing of others is written back.
WHOLE: dict[tuple[str, str], str] = {
    ("accounts/signin/setup.py", "_make_administrator"): "new, or locked by `_named`",
    ("dgxsite/demo/seed.py", "_bring_in_line"): "the demo's own machines, at its start",
    (
        "jobs/log/store.py",
        "_put",
    ): "the job's `log_bytes` were moved on before: nobody else appends",
    ("jobs/models/job.py", "save"): "a step is written once, and never again",
    ("jobs/results/usage.py", "measure"): "locked",
    ("usage/models.py", "save"): "hands on what it was given",
}


def whole_saves(source: str) -> Iterator[tuple[str, int]]:
    """The function and line of each call of `save` that may write every column of an old row."""
    yield from _walk(ast.parse(source), "")


def _walk(node: ast.AST, function: str) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        inside = function
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = child.name
        elif isinstance(child, ast.Call) and _is_whole(child):
            yield function, child.lineno
        yield from _walk(child, inside)


def _is_whole(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("save", "asave"):
        return False
    names = {keyword.arg for keyword in call.keywords}
    # `commit` is a form's. `save(first, …)` with values is no model's.
    is_model = all(isinstance(one, ast.Starred) for one in call.args) and "commit" not in names
    return is_model and not names & {"update_fields", "force_insert"}


def everything() -> list[tuple[str, str, int]]:
    return [
        (path.relative_to(ROOT).as_posix(), function, line)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
        for function, line in whole_saves(path.read_text(encoding="utf-8"))
    ]


def test_whole_rows_are_written_where_nobody_else_can() -> None:
    wrong = [
        f"{path}:{line}" for path, function, line in everything() if (path, function) not in WHOLE
    ]
    assert not wrong, f"lock the row and name `update_fields`, or say why not: {wrong}"


def test_reasons_are_still_needed() -> None:
    assert {(path, function) for path, function, _ in everything()} == WHOLE.keys()


@pytest.mark.parametrize(
    ("call", "is_whole"),
    [
        ("row.save()", True),
        ("row.save(using='other')", True),
        ("await row.asave()", True),
        ("super().save(*args, **kwargs)", True),
        ("row.save(update_fields=['name'])", False),
        ("row.save(force_insert=True)", False),
        ("formset.save(commit=False)", False),
    ],
)
def test_a_new_one_would_be_seen(call: str, is_whole: bool) -> None:
    source = f"async def change(row):\n    {call}"
    assert list(whole_saves(source)) == ([("change", 2)] if is_whole else [])
