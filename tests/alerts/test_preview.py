"""What a rule would have brought, against a history that was written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts import preview
from alerts.models import AlertRule
from connections.models import Connection
from metrics import annotations
from metrics.history.window import Window
from tests import factories
from tests.alerts.conftest import Crew, Scene, make_rule
from tests.api.client import Api
from tests.emptying import no_numbers
from tests.metrics.stored import ends, machine_of, steady, store

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _empty_history(transactional_db: None) -> Any:
    with no_numbers():
        yield


def history_of(machine: Connection, peaks: list[tuple[int, int]], gpus: int = 1) -> None:
    """An hour at 50, but 90 in each peak: (first minute, minutes). It ends ten minutes ago."""
    start = NOW - 70 * MINUTE

    def value(at: datetime) -> float:
        minute = (at - start) / MINUTE
        return 90.0 if any(begin < minute <= begin + long for begin, long in peaks) else 50.0

    windows: list[Window] = [steady(at, value(at), gpus=gpus) for at in ends(start, 180)]
    store(machine_of(machine), windows)


def unsaved(crew: Crew, **fields: Any) -> AlertRule:
    values: dict[str, Any] = {
        "name": "x",
        "metric": "cpu_percent",
        "comparison": ">",
        "threshold": 80.0,
        "for_seconds": 120,
    }
    return AlertRule(team=crew.team, **(values | fields))


def count(crew: Crew, **fields: Any) -> int:
    found = preview.of(crew.caller("viewer"), unsaved(crew, **fields), NOW)
    assert found.firings is not None
    return len(found.firings)


def test_counts_what_would_have_fired(crew: Crew) -> None:
    machine = factories.make_connection(crew.team)
    history_of(machine, [(5, 1), (15, 3), (30, 10)])
    assert count(crew) == 2  # the first peak is shorter than the hold time
    assert count(crew, for_seconds=0) == 3
    assert count(crew, for_seconds=600) == 1
    assert count(crew, for_seconds=620) == 0
    assert count(crew, threshold=95) == 0
    assert count(crew, clear_margin=45, for_seconds=60) == 1  # 50 is not calm enough to end it


def test_says_when_and_how_exactly(crew: Crew) -> None:
    machine = factories.make_connection(crew.team)
    history_of(machine, [(15, 3)])
    found = preview.of(crew.caller("viewer"), unsaved(crew), NOW)
    assert (found.resolution_seconds, found.series) == (20, 1)
    assert "20 seconds" in found.detail
    assert found.firings is not None
    [firing] = found.firings
    begin = NOW - 70 * MINUTE + 15 * MINUTE
    assert firing.start == begin + 2 * MINUTE
    assert firing.end == begin + 3 * MINUTE + timedelta(seconds=20)


def test_reads_each_gpu_of_each_machine_that_the_rule_covers(crew: Crew) -> None:
    for tags in (["lab"], ["lab"], []):
        history_of(factories.make_connection(crew.team, tags=tags), [(15, 3)], gpus=2)
    hot = {"metric": "gpu_temperature_c"}
    assert count(crew, **hot) == 6
    assert count(crew, tag="lab", **hot) == 4
    assert count(crew, tag="lab", gpu=1, **hot) == 2
    assert count(crew, and_metric="cpu_percent", and_comparison="<", and_threshold=10, **hot) == 0


def test_many_series_are_read_by_the_hour(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MOST_FINE", 1)
    for _ in range(2):
        history_of(factories.make_connection(crew.team), [(0, 60)])
    found = preview.of(crew.caller("viewer"), unsaved(crew), NOW)
    assert (found.resolution_seconds, found.series) == (3600, 2)
    assert "hour" in found.detail
    assert found.firings is not None
    assert len(found.firings) == 2


@pytest.mark.parametrize(
    ("metric", "comparison"), [("not_seen_seconds", ">"), ("memory_seconds_left", "<")]
)
def test_what_the_history_does_not_hold_has_no_preview(
    crew: Crew, metric: str, comparison: str
) -> None:
    sent = {"name": "x", "metric": metric, "comparison": comparison, "threshold": 300}
    answer = Api(factories.make_token(crew.operator)).post("/alert-rules/preview", sent).json()
    assert answer["firings"] is None
    assert "live only" in answer["detail"]


def test_the_api_previews_without_storing(crew: Crew) -> None:
    sent = {"name": "x", "metric": "cpu_percent", "comparison": ">", "threshold": 300}
    operator = Api(factories.make_token(crew.operator))
    answer = operator.post("/alert-rules/preview", sent)
    assert answer.status_code == 200
    assert answer.json()["firings"] == 0
    assert (
        Api(factories.make_token(crew.viewer)).post("/alert-rules/preview", sent).status_code == 403
    )
    assert not AlertRule.objects.exists()


def test_charts_are_told_what_fired_when(crew: Crew, scene: Scene) -> None:
    make_rule(crew.team)
    make_rule(crew.team, for_seconds=600)
    machine = scene.machine()
    scene.read(machine, scene.sample(90))
    scene.read(machine, scene.sample(60))
    end = scene.at
    [mark] = annotations.marks(machine.pk, end - timedelta(hours=1), end + timedelta(hours=1))
    assert mark.label == "Too hot: GPU temperature is 90\u00a0°C"
    assert (mark.kind, mark.gpu) == ("alert", 0)
    assert mark.end == mark.start + timedelta(seconds=2)
    assert annotations.marks(machine.pk, end + timedelta(hours=1), end + timedelta(hours=2)) == []
