"""`make house`: how the source reads, as figures. A mirror, not a gate: it never fails.

What must hold (no back-arrow, no circle, no folder or file too large) is in
`tests/test_imports.py`.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench import imports
from bench.imports import ROOT

_SAYING = re.compile(r"\b(?:told|tell|tells|say|says|said)\b", re.IGNORECASE)
_WALK = re.compile(r"^### Walk: (.+?)\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`([\w./-]+\.(?:py|sh|js|html))`")
LONGEST_TEMPLATE_LINE = 120


def main() -> None:
    """Print one figure a line."""
    order = imports.declared_order()
    for line in (*_import_lines(order), *_size_lines(order), *_word_lines(order), *_walk_lines()):
        print(line)


def modules_by_folder(packages: list[str]) -> Counter[str]:
    """Folder → how many modules lie in it, without its `__init__.py`."""
    return Counter(
        path.parent.relative_to(ROOT).as_posix()
        for package in packages
        for path in imports.sources(package)
        if path.name != "__init__.py"
    )


def lines_by_file(packages: list[str]) -> Counter[str]:
    """File → its lines."""
    return Counter(
        {
            path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
            for package in packages
            for path in imports.sources(package)
        }
    )


def walks() -> dict[str, list[str]]:
    """Title of each walk of ARCHITECTURE.md → the files that it opens, in their order."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return {title: list(dict.fromkeys(_PATH.findall(body))) for title, body in _WALK.findall(text)}


def _import_lines(order: dict[str, list[str]]) -> Iterator[str]:
    graph = imports.module_graph(order)
    wrong = imports.back_arrows(order, order)
    yield f"back-arrows: {len(wrong)}"
    yield from (f"  {i.path}:{i.line} imports {i.module}" for i in wrong)
    circle = imports.find_circle(graph)
    yield f"circle of files: {' → '.join(circle) or 'none'}"
    if circle:
        return
    yield "floors (longest chain of imports inside a package):"
    for package in order:
        inside = {
            name: {target for target in targets if target.split(".")[0] == package}
            for name, targets in graph.items()
            if name.split(".")[0] == package
        }
        chain = imports.longest_chain(inside)
        names = " → ".join(name.removeprefix(f"{package}.") for name in chain)
        yield f"  {package}: {len(chain)} ({names})"


def _size_lines(order: dict[str, list[str]]) -> Iterator[str]:
    yield "modules in a folder, the fullest:"
    yield from (f"  {name}: {n}" for name, n in modules_by_folder(list(order)).most_common(8))
    yield "lines of a file, the longest:"
    yield from (f"  {name}: {n}" for name, n in lines_by_file(list(order)).most_common(8))


def _word_lines(order: dict[str, list[str]]) -> Iterator[str]:
    names, words, lines = Counter[bool](), 0, 0
    for path in (path for package in order for path in imports.sources(package)):
        text = path.read_text(encoding="utf-8")
        lines += text.count("\n")
        words += len(_SAYING.findall(text.replace("_", " ")))
        names.update("_" not in name.strip("_") for name in _function_names(text))
    yield f"functions whose name is one word: {100 * names[True] / names.total():.0f} %"
    yield f"tell, told, say, said in 1,000 lines: {1000 * words / lines:.1f}"
    rows = [row for path in _templates() for row in path.read_text("utf-8").splitlines()]
    long = sum(len(row) > LONGEST_TEMPLATE_LINE for row in rows)
    yield f"template lines over {LONGEST_TEMPLATE_LINE} characters: {long} of {len(rows)}"


def _function_names(text: str) -> Iterator[str]:
    """Functions and methods, without Python's own such as `__init__`."""
    nodes = ast.walk(ast.parse(text))
    functions = (n for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return (node.name for node in functions if not node.name.startswith("__"))


def _templates() -> list[Path]:
    return sorted((ROOT / "templates").rglob("*.html"))


def _walk_lines() -> Iterator[str]:
    yield "files to open on a walk:"
    yield from (f"  {title}: {len(paths)}" for title, paths in walks().items())


if __name__ == "__main__":
    main()
