"""Redis is killed twice and comes back empty: sessions stay, reads answer, samples return."""

import signal

import pytest
import redis

from accounts.models import Role, Scope
from connections.models import Connection
from core.background import heartbeats
from core.server_urls import redis_database
from tests import factories
from tests.faults import INTERVAL
from tests.faults.conftest import Collect, StartMachines, StartSite
from tests.faults.machines import Machine
from tests.faults.records import Samples, now, state
from tests.faults.site import Server, Site
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

# The pause between two attempts to write grows to 8 s and Celery's to reconnect to 4 s; neither is
# scaled.
PROMISED_RETURN = 15.0


def test_sessions_outlive_redis_and_samples_return(
    start_site: StartSite,
    start_machines: StartMachines,
    collect: Collect,
    own_redis: tuple[Server, str],
) -> None:
    server, redis_url = own_redis
    site = start_site(redis_url=redis_url)
    machines = start_machines(3)
    samples = collect(site, machines)
    token = _token_for(machines[0])
    site.keeper()
    site.beat()
    site.web()
    until(lambda: samples.have_all(2), "samples of all")

    for round_number in (1, 2):
        server.stop(signal.SIGKILL)
        _reads_answer(site, machines[0], token)
        back = server.start()
        returned, heard = _all_returns(site, samples, machines, back)
        print(f"F11 #{round_number}: samples after {returned:.2f} s, ticks after {heard:.2f} s")
        assert returned <= PROMISED_RETURN
        assert heard <= PROMISED_RETURN
    assert [machine.logins for machine in machines] == [1, 1, 1]
    assert all(state(site, machine.id) == ("connected", "") for machine in machines)


def _token_for(machine: Machine) -> str:
    person = factories.make_user()
    team = Connection.objects.get(pk=machine.id).team
    factories.join(person, team, Role.ADMINISTRATOR)
    return factories.make_token(person, Scope.ADMIN)


def _reads_answer(site: Site, machine: Machine, token: str) -> None:
    """For several intervals: what PostgreSQL knows is told, what Redis knew is a plain 503."""
    path = f"/api/v1/connections/{machine.id}"
    until_then = now() + max(2.0, 5 * INTERVAL)
    while now() < until_then:
        for asked in ("/api/v1/connections", path, f"{path}/status", f"{path}/events"):
            answer = site.ask("GET", asked, token)
            assert (answer.status, answer.seconds < 2.5) == (200, True), (asked, answer)
        status = site.ask("GET", f"{path}/status", token)
        assert status.body["status"] == "connected"
        sample = site.ask("GET", f"{path}/metrics", token)
        assert (sample.status, sample.body["code"]) == (503, "redis_unavailable")
        assert sample.seconds < 2.5
    wish = site.ask("POST", f"{path}/connect", token)
    assert wish.status in {202, 503}, wish
    assert wish.seconds < 2.5
    health = site.ask("GET", "/api/health", token)
    assert (health.status, health.body["checks"]["database"]) == (503, "ok")


def _all_returns(
    site: Site, samples: Samples, machines: list[Machine], back: float
) -> tuple[float, float]:
    """Seconds until every machine has a sample again, and until a tick was worked on."""
    until(lambda: samples.have_all(1, back), "samples of all again")
    returned = max(min(samples.times(machine.id, back)) for machine in machines) - back
    with redis.Redis.from_url(redis_database(site.redis_url, 2)) as client:
        until(lambda: float(client.get(heartbeats.BEAT_KEY) or 0) > back, "a tick is worked on")
        # The clock says at its start that it lives; it has not been started again here.
        heard = float(client.get(heartbeats.BEAT_KEY) or 0) - back
    return returned, heard
