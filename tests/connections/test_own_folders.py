"""Folders of the site's own machine: below the roots, through no link out of them, nothing else."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import Role
from connections.files import folders, own_folders
from tests import factories
from tests.api.client import Api, fields_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Path:
    """The account of the site: its keys, its data below a root, and what a member may have."""
    home = (tmp_path / "home").resolve()
    for name in (".ssh", "projects/own", "projects/site/var", "projects/keys", "elsewhere"):
        (home / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    settings.LOCAL_ROOTS = ["~/projects"]
    settings.DATA_DIR = home / "projects/site/var"
    settings.SSH_KEY_DIR = home / "projects/keys"
    links = {"out": "elsewhere", "keys2": ".ssh", "data": "projects/site/var", "in": "projects/own"}
    for name, target in links.items():
        (home / "projects" / name).symlink_to(home / target)
    (home / "projects/loop").symlink_to(home / "projects/loop")
    return home


FORBIDDEN = [
    "/", "/etc", "~", "~/.ssh", "~/elsewhere", "elsewhere", "~/projectsx", "~/projects/out",
    "~/projects/out/new", "~/projects/keys2", "~/projects/keys", "~/projects/keys/new",
    "~/projects/data", "~/projects/site/var", "~/projects/site/var/secret", "~/projects/loop/x",
    "/proc/self/root/etc", "/dev/shm/new", "~/.ssh/new", "/" + "x/" * 200,
]  # fmt: skip


@pytest.mark.parametrize("text", FORBIDDEN)
def test_nothing_outside_is_found_or_made(home: Path, text: str) -> None:
    before = sorted(home.rglob("*"))
    told = set()
    for create in (False, True):
        with pytest.raises(folders.NoFolder) as caught:
            folders.here(text, create=create)
        told.add(caught.value.detail)
    assert told == {own_folders.NotBelowRoots().detail}, "whether it is there is not told"
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "found"),
    [("~/projects/own", "own"), ("projects/in", "own"), ("~/projects/new/er", "new/er")],
)
def test_what_lies_below_a_root_is_used_by_its_real_path(home: Path, text: str, found: str) -> None:
    assert folders.here(text, create=True) == str(home / "projects" / found)


def test_a_folder_below_a_root_that_is_missing_may_be_made(home: Path) -> None:
    with pytest.raises(folders.NoFolder) as caught:
        folders.here("~/projects/new")
    assert caught.value.can_be_made


def test_without_a_root_there_is_nothing(home: Path, settings: Any) -> None:
    settings.LOCAL_ROOTS = []
    with pytest.raises(folders.NoFolder, match="below no folder at all"):
        folders.here("~/projects/own")


@pytest.mark.django_db
def test_a_project_of_the_sites_own_machine_stays_below_the_roots(
    home: Path, redis_client: object
) -> None:
    machine = factories.make_connection(transport="local", hostname="", username="")
    user = factories.make_user()
    factories.join(user, machine.team, Role.OPERATOR)
    api = Api(factories.make_token(user))
    sent = {"connection_id": str(machine.pk), "name": "p", "create_directory": True}
    for path in ("~/.ssh", "/etc", "~/projects/out/x"):
        answer = api.post("/projects", sent | {"remote_path": path})
        assert (answer.status_code, fields_of(answer)) == (422, {"remote_path"})
    made = api.post("/projects", sent | {"remote_path": "~/projects/mine"})
    assert made.status_code == 201, made.content
    assert (home / "projects/mine").is_dir()
