"""The first rows, the demo's rows, and what a restore forgets."""

import json
import stat
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Membership, Team, User
from connections.models import Connection, Keeper, Status, Transport
from dgxsite.demo import seed as demo_seed
from dgxsite.up import database_copy, preparation
from jobs.models import Job
from metrics.history import tiers
from usage import tables

pytestmark = pytest.mark.django_db

FINGERPRINT = "SHA256:" + "A" * 43


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A fleet of one machine, as the simulator describes it."""
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnot a real one\n")
    machine = {
        "name": "sim-spark-1",
        "profile": "dgx-spark",
        "hostname": "127.0.0.1",
        "port": 2201,
        "username": "demo",
        "private_key_path": str(key),
        "password": None,
        "host_key_fingerprint": FINGERPRINT,
        "host_key_line": "ssh-ed25519 AAAA",
    }
    description = tmp_path / "fleet.json"
    description.write_text(json.dumps({"machines": [machine]}))
    return description


def change(description: Path, **values: Any) -> None:
    content = json.loads(description.read_text())
    content["machines"][0].update(values)
    description.write_text(json.dumps(content))


def test_this_machine_is_there_from_the_start() -> None:
    preparation.add_this_machine()
    machine = Connection.objects.get()
    assert machine.transport == Transport.LOCAL
    assert machine.is_active
    assert machine.name


def test_this_machine_does_not_come_back_when_it_was_deleted() -> None:
    preparation.add_this_machine()
    Connection.objects.all().delete()
    preparation.add_this_machine()
    assert not Connection.objects.exists()


def test_second_look_finds_no_migration_to_apply() -> None:
    assert preparation.migrate() == 0


def test_history_and_ledger_have_room_from_the_start() -> None:
    today = date(2044, 5, 6)
    preparation.ensure_partitions(today)
    assert tiers.ensure_days([today]) == tables.ensure_days([today]) == 0


def test_demo_seeds_people_and_machines(fleet: Path) -> None:
    passwords = demo_seed.seed(fleet)
    assert set(passwords) == {"admin", "operator", "viewer"}
    roles = dict(Membership.objects.values_list("user__username", "role"))
    assert roles == {"admin": "administrator", "operator": "operator", "viewer": "viewer"}
    for name, password in passwords.items():
        assert User.objects.get(username=name).check_password(password)
    machine = Connection.objects.get()
    assert (machine.host_key, machine.host_key_type) == (FINGERPRINT, "ssh-ed25519")
    assert machine.tags == [demo_seed.TAG]
    assert "not a real one" in (machine.secret("private_key") or "")
    assert "not a real one" not in machine.private_key_encrypted


def test_demo_seeds_once(fleet: Path) -> None:
    demo_seed.seed(fleet)
    first = Connection.objects.get()
    assert demo_seed.seed(fleet) == {}
    again = Connection.objects.get()
    assert (again.pk, again.revision) == (first.pk, first.revision)


def test_demo_has_jobs_that_do_not_come_back(fleet: Path) -> None:
    demo_seed.seed(fleet)
    jobs = Job.objects.filter(project__name="mnist-baseline")
    assert set(jobs.values_list("name", "status")) == {
        ("mnist", "queued"),
        ("mnist, learning rate 5", "queued"),
    }
    assert all(job.config["optimizer"]["name"] == "adamw" for job in jobs)
    jobs.delete()
    demo_seed.seed(fleet)
    assert not Job.objects.exists()


def test_demo_follows_a_machine_that_moved(fleet: Path) -> None:
    demo_seed.seed(fleet)
    first = Connection.objects.get()
    change(fleet, port=2299)
    demo_seed.seed(fleet)
    moved = Connection.objects.get()
    assert moved.port == 2299
    assert moved.revision == first.revision + 1


def test_demo_does_not_enter_a_real_site() -> None:
    preparation.refuse_real_site()
    preparation.first_rows(is_demo=False)
    with pytest.raises(preparation.NotADemo, match="DGX_DATA_DIR"):
        preparation.refuse_real_site()


def test_demo_may_come_back_to_its_own_data() -> None:
    preparation.first_rows(is_demo=True)
    preparation.first_rows(is_demo=True)
    preparation.refuse_real_site()
    assert AuditEvent.objects.filter(action=preparation.FIRST_START).count() == 1


def test_demo_logins_are_for_the_owner_alone(tmp_path: Path) -> None:
    file = demo_seed.keep_logins(tmp_path, {"admin": "secret"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "admin secret\n"
    demo_seed.keep_logins(tmp_path, {})
    assert file.read_text() == "admin secret\n"


def test_restore_leaves_nobody_holding_a_machine() -> None:
    keeper = Keeper.objects.create(name="of another time", heartbeat_at=timezone.now())
    connection = Connection.objects.create(
        team=Team.default(), name="spark", status=Status.CONNECTED, owner=keeper, epoch=7
    )
    database_copy.forget_leases()
    connection.refresh_from_db()
    assert connection.owner is None
    assert connection.status == Status.DISCONNECTED
    assert connection.epoch >= int(time.time()) - 60
    assert not Keeper.objects.exists()
    assert AuditEvent.objects.filter(action="site.restore").exists()


def test_restore_twice_never_takes_an_epoch_back() -> None:
    ahead = int(time.time()) + 10_000
    Connection.objects.create(team=Team.default(), name="spark", epoch=ahead)
    database_copy.forget_leases()
    assert Connection.objects.get().epoch == ahead + 1


def test_a_fresh_heartbeat_is_a_living_keeper() -> None:
    assert database_copy.living_keepers() == []
    Keeper.objects.create(name="here", heartbeat_at=timezone.now())
    assert database_copy.living_keepers() == ["here"]
