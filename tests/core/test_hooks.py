"""Hooks: the module below owns one and calls it, and one file says who is called."""

import ast
import re
from pathlib import Path

import pytest

from core.hooks import Hook
from dgxsite import wiring
from jobs.models.job import on_change
from metrics import annotations
from projects import attached
from tests.product import ROOT

# Celery's signals belong to the process, which `dgxsite/celery.py` describes.
LIBRARY_SIGNALS = {"dgxsite/wiring.py", "dgxsite/celery.py"}


def double(number: int) -> int:
    return 2 * number


def square(number: int) -> int:
    return number * number


def test_calls_in_the_order_of_registration_and_gives_each_answer() -> None:
    hook: Hook[[int], int] = Hook("a number comes")
    assert not hook
    assert hook.call(3) == []
    hook.register(double)
    hook.register(square)
    assert hook.call(3) == [6, 9]
    assert [callback(4) for callback in hook] == [8, 16]


def test_knows_who_registered() -> None:
    hook: Hook[[int], int] = Hook("a number comes")
    hook.register(double)
    assert hook.registered == [f"{__name__}.double"]


def test_refuses_what_is_registered_twice() -> None:
    hook: Hook[[int], int] = Hook("a number comes")
    hook.register(double)
    with pytest.raises(ValueError, match=r"double is registered twice for a number comes"):
        hook.register(double)
    assert hook.call(1) == [2]


def test_what_one_raises_ends_the_call() -> None:
    def refuse(number: int) -> int:
        raise LookupError

    hook: Hook[[int], int] = Hook("a number comes")
    hook.register(refuse)
    hook.register(double)
    with pytest.raises(LookupError):
        hook.call(1)


def test_others_are_back_after_a_block_without_them() -> None:
    hook: Hook[[int], int] = Hook("a number comes")
    hook.register(double)
    with hook.only(square):
        hook.register(double)
        assert hook.call(3) == [9, 6]
    assert hook.call(3) == [6]


def test_every_process_is_wired_at_its_start() -> None:
    assert annotations.providers.registered == ["alerts.annotations.of_alerts"]
    assert attached.on_count.registered == ["jobs.services.counts"]
    assert attached.before_delete.registered == ["jobs.services.refuse_while_running"]
    assert on_change.registered == ["jobs.notify.notify_change"]


def test_every_process_listens_to_the_libraries() -> None:
    for signal, receiver, sender in wiring.LISTENERS:
        found = signal._live_receivers(sender)
        assert any(receiver in part for part in found), receiver  # those that wait, and the others
    assert len(set(wiring.LISTENERS)) == len(wiring.LISTENERS)


def test_every_hook_is_filled_in_the_one_file_that_lists_them() -> None:
    listed = (ROOT / "dgxsite" / "wiring.py").read_text(encoding="utf-8")
    owned = {
        (path.stem, node.target.id)
        for path in _product_files()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation).startswith("Hook[")
    }
    assert len(owned) == 7
    filled = set(re.findall(r"(\w+)\.(\w+)\.register\(", listed))
    assert {name for _, name in owned} == {name for _, name in filled}
    elsewhere = [
        path
        for path in _product_files()
        if path.name != "wiring.py"
        and any(f"{name}.register(" in path.read_text() for _, name in owned)
    ]
    assert elsewhere == []


def test_nobody_else_listens_to_signals() -> None:
    listening = re.compile(r"signals import|import signals|django\.dispatch|@receiver\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in _product_files()
        if listening.search(path.read_text(encoding="utf-8"))
    }
    assert found == LIBRARY_SIGNALS


def _product_files() -> list[Path]:
    apps = [path.parent for path in ROOT.glob("*/permissions.py")]
    return [
        path
        for folder in (ROOT / "core", *apps)
        for path in folder.rglob("*.py")
        if "migrations" not in path.parts
    ]
