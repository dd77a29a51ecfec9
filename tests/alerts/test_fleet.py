"""A large fleet is judged whole: 8 GPUs and 10 rules on every machine, every two seconds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from alerts.engine import Engine, Watched
from alerts.models import AlertRule
from alerts.quantities import Board
from tests.metrics.machines import MOMENT, make_gpu, make_sample

_RULES: Sequence[tuple[str, str, float, dict[str, Any]]] = (
    ("gpu_temperature_c", ">", 85, {}),
    ("gpu_memory_percent", ">", 95, {}),
    ("gpu_power_watts", ">", 650, {}),
    ("gpu_throttled", ">", 0, {}),
    ("gpu_sm_clock_mhz", "<", 1400, {"and_metric": "gpu_percent", "and_threshold": 80}),
    ("gpu_percent", "<", 5, {"and_metric": "gpu_memory_percent", "and_threshold": 50}),
    ("disk_percent", ">", 90, {}),
    ("memory_available_percent", "<", 5, {}),
    ("memory_pressure_percent", ">", 20, {}),
    ("cpu_percent", ">", 98, {}),
)
MACHINES, GPUS, ROUNDS = 200, 8, 5


def rules() -> list[Watched]:
    made = []
    for metric, comparison, threshold, second in _RULES:
        fields = {"and_comparison": ">"} | second if second else {}
        rule = AlertRule(
            metric=metric, comparison=comparison, threshold=threshold, for_seconds=60, **fields
        )
        made.append(Watched.of(rule))
    return made


def test_every_machine_beyond_a_threshold_is_found_once() -> None:
    watched, engine = rules(), Engine()
    ids: list[UUID] = [uuid4() for _ in range(MACHINES)]
    hot = make_sample(gpus=GPUS)
    one_hot = (*hot.gpus[1:], make_gpu(GPUS, temperature_c=90.0))
    for step in range(ROUNDS):
        at = MOMENT + timedelta(seconds=2 * step)
        found = 0
        for place, id in enumerate(ids):
            sample = hot if place % 50 else make_sample_with(one_hot)
            found += len(engine.look(id, watched, at, Board(sample)))
        assert found == (MACHINES // 50 if step == 0 else 0)


def make_sample_with(gpus: Any) -> Any:
    return replace(make_sample(), gpus=gpus)
