"""Which module of this repository imports which, read from the source.

Every import counts, wherever it stands. The order in which packages stand above each other is the
block `order` of ARCHITECTURE.md, so that people and tests read the same.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_ORDER = re.compile(r"^```order\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Import(NamedTuple):
    """One imported name: `module` is as long as the source writes it."""

    path: str
    line: int
    module: str
    is_inside_function: bool

    @property
    def package(self) -> str:
        """The top-level package that is imported."""
        return self.module.split(".")[0]


def sources(package: str) -> list[Path]:
    """The Python files of a package, without its migrations."""
    return [
        path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts
    ]


def imports_of_packages(*packages: str) -> list[Import]:
    """All imports of these packages."""
    return [i for package in packages for path in sources(package) for i in imports_of(path)]


@lru_cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """The imports of one file."""
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


def declared_order() -> dict[str, list[str]]:
    """Package → its sub-packages, both from the floor up, as ARCHITECTURE.md lists them."""
    found = _ORDER.search((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("ARCHITECTURE.md has no block ```order")
    rows = [line.split() for line in found[1].splitlines() if line.strip()]
    return {name: below for name, *below in rows}


def module_graph(packages: Iterable[str]) -> dict[str, set[str]]:
    """Module → the modules of these packages that it imports.

    A name that a package's `__init__.py` hands on counts for the module that it comes from.
    """
    paths = {_module_of(path): path for package in packages for path in sources(package)}
    return {
        name: {_origin(i.module, paths) for i in imports_of(path)} - {name, ""}
        for name, path in paths.items()
        if path.name != "__init__.py"
    }


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _origin(name: str, paths: Mapping[str, Path]) -> str:
    """The module that `name` is, or that it is defined in; empty where that is none of these."""
    if name in paths:
        return "" if paths[name].name == "__init__.py" else name
    module, _, attribute = name.rpartition(".")
    if module not in paths:
        return ""
    if paths[module].name != "__init__.py":
        return module
    handed_on = (i.module for i in imports_of(paths[module]))
    source = next((each for each in handed_on if each.endswith(f".{attribute}")), None)
    return "" if source is None else _origin(source, paths)


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other in a loop, the first one again at the end; or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def longest_chain(graph: Mapping[str, set[str]]) -> list[str]:
    """The longest chain of modules that import one another, from the roof down.

    The graph must have no circle.
    """
    known: dict[str, list[str]] = {}

    def chain(name: str) -> list[str]:
        if name not in known:
            below = [chain(target) for target in sorted(graph[name]) if target in graph]
            known[name] = [name, *max(below, key=len, default=[])]
        return known[name]

    return max((chain(name) for name in sorted(graph)), key=len, default=[])


def back_arrows(order: Mapping[str, list[str]], packages: Iterable[str]) -> list[Import]:
    """Imports against the declared order: of a package above, or of a sub-package above.

    Modules that lie directly in a package belong to no floor of it.
    """
    floors = {name: number for number, name in enumerate(order)}
    wrong = []
    for found in imports_of_packages(*packages):
        here, there = found.path.split("/"), found.module.split(".")
        if there[0] not in floors or here[0] not in floors:
            continue
        if here[0] != there[0]:
            is_wrong = floors[there[0]] > floors[here[0]]
        else:
            rooms = order[here[0]]
            is_wrong = _floor(there[1:2], rooms) > _floor(here[1:2], rooms) >= 0
        if is_wrong:
            wrong.append(found)
    return wrong


def _floor(name: list[str], rooms: list[str]) -> int:
    return rooms.index(name[0]) if name and name[0] in rooms else -1
