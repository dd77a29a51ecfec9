"""Each app declares what its routes need; what two declare, or nobody, stops the start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from accounts.models import Role
from accounts.policy import ACTIONS, ROUTES, TOPICS, AppPermissions, Right, merge
from tests.product import ROOT

MINE = AppPermissions(
    actions={"thing.view": Role.VIEWER},
    pages={"things/": {"GET": "thing.view"}},
    api={"things": {"GET": "thing.view"}},
    topics={"thing": "thing.view"},
    admin_models=("things.thing",),
)

START = """
from dgxsite import settings
settings.INSTALLED_APPS.append("newcomer")
import django
django.setup()
from accounts.policy import ROUTES, methods_of
print(len(ROUTES), methods_of("newcomer/"))
"""


def test_what_an_app_declares_is_spelled_as_the_resolver_does() -> None:
    staff = AppPermissions(actions={"admin.use": Right.STAFF})
    actions, routes, topics = merge({"staff": staff, "things": MINE})
    assert actions["thing.view"] == Role.VIEWER
    assert set(routes) == {"things/", "api/v1/things", "admin/things/thing/*"}
    assert topics == {"thing": "thing.view"}


@pytest.mark.parametrize(
    ("kind", "second"),
    [
        ("action 'thing.view'", AppPermissions(actions={"thing.view": Role.VIEWER})),
        ("route 'things/'", AppPermissions(pages={"things/": {"POST": "thing.view"}})),
        ("route 'api/v1/things'", AppPermissions(api={"things": {"POST": "thing.view"}})),
        ("route 'admin/things/thing/*'", AppPermissions(admin_models=("things.thing",))),
        ("topic 'thing'", AppPermissions(topics={"thing": "thing.view"})),
    ],
)
def test_refuses_what_two_apps_declare(kind: str, second: AppPermissions) -> None:
    with pytest.raises(ImproperlyConfigured, match="second and first both declare") as refused:
        merge({"first": MINE, "second": second})
    assert kind in str(refused.value)


@pytest.mark.parametrize(
    "careless",
    [
        AppPermissions(pages={"things/": {"GET": "thing.veiw"}}),
        AppPermissions(topics={"thing": "thing.veiw"}),
    ],
)
def test_refuses_an_action_that_nobody_declares(careless: AppPermissions) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"thing\.veiw"):
        merge({"things": careless})


def test_every_app_with_addresses_declares_them() -> None:
    ours = {path.parent.name for path in ROOT.glob("*/urls.py")}
    assert {path.parent.name for path in ROOT.glob("*/permissions.py")} == ours
    assert ours <= {config.name for config in apps.get_app_configs()}
    assert ACTIONS
    assert ROUTES
    assert TOPICS


def test_policy_names_no_app_above_its_own() -> None:
    text = "".join((ROOT / "accounts" / f"{name}.py").read_text() for name in ("policy", "apps"))
    above = {path.parent.name for path in ROOT.glob("*/permissions.py")} - {"accounts", "dgxsite"}
    assert [app for app in above if app in text] == []


def test_an_app_without_permissions_has_no_routes(tmp_path: Path) -> None:
    ended = _start_with(tmp_path, None)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split(maxsplit=1) == [str(len(ROUTES)), "None\n"]


def test_an_app_that_takes_the_route_of_another_stops_the_start(tmp_path: Path) -> None:
    ended = _start_with(
        tmp_path,
        "from accounts.policy import AppPermissions\n"
        "PERMISSIONS = AppPermissions(pages={'teams/': {'GET': 'self.view'}})\n",
    )
    assert ended.returncode == 1
    assert "newcomer and accounts both declare the route 'teams/'." in ended.stderr


def _start_with(folder: Path, permissions: str | None) -> "subprocess.CompletedProcess[str]":
    """Start the site with one app more, whose `permissions.py` has this text."""
    package = folder / "newcomer"
    package.mkdir()
    (package / "__init__.py").touch()
    if permissions is not None:
        (package / "permissions.py").write_text(permissions)
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "dgxsite.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
    }
    return subprocess.run(
        [sys.executable, "-c", START],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
