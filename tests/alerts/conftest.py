"""A team with machines and rules, and the keeper's pen that writes their samples."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from django.core.cache import cache

from accounts.models import Role, Team, User
from accounts.policy import Caller
from alerts.models import AlertRule
from alerts.watch import Watch
from connections.keeper.link import Link
from connections.models import Connection, Keeper
from core import topics
from metrics.collectors.readings import Sample
from tests import factories
from tests.metrics.machines import MOMENT, make_gpu, make_keeper, make_sample


@dataclass(frozen=True)
class Crew:
    """A team's people, and somebody of another team."""

    team: Team
    boss: User
    operator: User
    viewer: User
    stranger: User

    def caller(self, name: str) -> Caller:
        return Caller(getattr(self, name))


@pytest.fixture
def crew(db: None) -> Crew:
    team, other = factories.make_team(), factories.make_team()
    people = {name: factories.make_user() for name in ("boss", "operator", "viewer", "stranger")}
    factories.join(people["boss"], team, Role.ADMINISTRATOR)
    factories.join(people["operator"], team, Role.OPERATOR)
    factories.join(people["viewer"], team, Role.VIEWER)
    factories.join(people["stranger"], other, Role.ADMINISTRATOR)
    return Crew(team, **people)


def make_rule(team: Team, **fields: Any) -> AlertRule:
    """GPU temperature above 80 °C, at once, on any machine of the team."""
    values: dict[str, Any] = {
        "name": "Too hot",
        "metric": "gpu_temperature_c",
        "comparison": ">",
        "threshold": 80.0,
    }
    return AlertRule.objects.create(team=team, **(values | fields))


@dataclass
class Scene:
    """A keeper that holds machines of one team, and its watch."""

    team: Team
    keeper: Keeper
    watch: Watch = field(default_factory=Watch)
    at: datetime = MOMENT

    def machine(self, **fields: Any) -> Connection:
        values: dict[str, Any] = {"owner": self.keeper, "epoch": 1, "is_active": True}
        return factories.make_connection(self.team, **(values | fields))

    def holdings(self) -> dict[Any, int]:
        rows = Connection.objects.filter(owner=self.keeper)
        return dict(rows.values_list("pk", "epoch"))

    def read(self, machine: Connection, *samples: Sample, seconds: float = 2) -> int:
        """Note samples and judge them; how many changes were written."""
        for sample in samples:
            self.watch.note(link_to(machine), sample)
        self.at += timedelta(seconds=seconds)
        return self.watch.judge(self.keeper.pk, self.holdings())

    def sample(self, temperature: float | None = 60.0, **fields: Any) -> Sample:
        """A sample of now: one GPU, so hot."""
        gpu = make_gpu(temperature_c=temperature)
        return replace(make_sample(self.at), **({"gpus": (gpu,)} | fields))


def link_to(machine: Connection) -> Link:
    """What the watch needs to know of a session."""
    link = Link.__new__(Link)
    link.connection_id, link.team_id, link.epoch = machine.pk, machine.team_id, machine.epoch
    return link


@pytest.fixture
def scene(crew: Crew) -> Scene:
    return Scene(crew.team, make_keeper())


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What would leave for the browsers: topic and alert."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def keep(team_id: Any, items: Any) -> None:
        sent.extend(
            (item.topic, orjson.loads(item.data)) for item in items if item.event == "alert"
        )

    monkeypatch.setattr(topics, "publish", keep)
    return sent


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()
