"""A machine comes back with another host key: nobody logs in before a person has accepted it."""

import signal
import time

import pytest

from accounts.models import Role
from accounts.policy import Caller
from connections import services
from connections.models import Connection
from tests import factories, sshd
from tests.faults import INTERVAL
from tests.faults.conftest import Collect, StartMachines
from tests.faults.machines import Machine
from tests.faults.records import now, state
from tests.faults.site import Site
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

# What sshd writes at this log level once a client has begun to log in.
SIGNS_OF_A_LOGIN = ("userauth", "publickey", "Accepted", "Failed", "authenticating user")


def test_a_changed_host_key_stops_until_it_is_accepted(
    site: Site, start_machines: StartMachines, collect: Collect
) -> None:
    (machine,) = start_machines()
    samples = collect(site, [machine])
    site.keeper()
    until(lambda: samples.have_all(2), "samples")

    _change_host_key(machine)
    until(lambda: state(site, machine.id) == ("error", "host_key_changed"), "the hard stop")
    greeted = machine.greeted
    time.sleep(6 * INTERVAL)
    assert machine.greeted == greeted, "it was tried again without a person"
    told = machine.server.log
    assert [sign for sign in SIGNS_OF_A_LOGIN if sign in told] == []

    row = Connection.objects.get(pk=machine.id)
    assert row.offered_host_key == machine.server.host_key_fingerprint
    assert row.retry_at is None
    owner = factories.make_user()
    factories.join(owner, row.team, Role.ADMINISTRATOR)
    accepted = now()
    services.accept_host_key(Caller(owner), row.pk, row.offered_host_key)
    until(lambda: samples.have_all(1, accepted), "samples again")
    until(lambda: state(site, machine.id) == ("connected", ""), "the state")
    assert machine.logins == 1


def _change_host_key(machine: Machine) -> None:
    """The server ends with its sessions and starts again on its port with a new key and log."""
    before = machine.server
    before.signal_all(signal.SIGKILL)
    before.process.wait()
    for name in ("host_key", "host_key.pub", "sshd.log"):
        (before.directory / name).unlink()
    machine.server = sshd.start(before.directory, port=before.port)
    assert machine.server.host_key_fingerprint != before.host_key_fingerprint
