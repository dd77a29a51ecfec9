"""Rules that most teams want, ready to be switched on: a table."""

from dataclasses import dataclass
from typing import Any

from alerts.models import AlertRule
from alerts.quantities import MEMORY_LEFT, NOT_SEEN, THROTTLED
from alerts.words import sentence


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`fields` as the API takes them; `why` for people."""

    key: str
    name: str
    why: str
    fields: dict[str, Any]

    @property
    def sentence(self) -> str:
        return sentence(self.as_rule())

    def as_rule(self) -> AlertRule:
        """The rule it would make, of no team and not stored."""
        second = self.fields.get("and_") or {}
        plain = {name: value for name, value in self.fields.items() if name != "and_"}
        return AlertRule(
            name=self.name,
            and_metric=second.get("metric", ""),
            and_comparison=second.get("comparison", ""),
            and_threshold=second.get("threshold"),
            **plain,
        )


def _of(metric: str, comparison: str, threshold: float, for_seconds: int, **more: Any) -> Any:
    fields = {"metric": metric, "comparison": comparison, "threshold": threshold}
    return fields | {"for_seconds": for_seconds} | more


def _and(metric: str, comparison: str, threshold: float) -> dict[str, Any]:
    return {"metric": metric, "comparison": comparison, "threshold": threshold}


SUGGESTIONS: tuple[Suggestion, ...] = (
    Suggestion(
        "hot",
        "GPU too hot",
        "Most GPUs slow down from about 87 °C.",
        _of("gpu_temperature_c", ">", 85, 120, clear_margin=5),
    ),
    Suggestion(
        "memory",
        "Memory nearly full",
        "What asks for more may fail or be killed.",
        _of("memory_available_percent", "<", 5, 60, clear_margin=2),
    ),
    Suggestion(
        "memory_left",
        "Memory will run out",
        "A machine with unified memory wedges when it is full; this rings minutes before.",
        _of(MEMORY_LEFT, "<", 300, 10, clear_margin=120),
    ),
    Suggestion(
        "disk",
        "Disk nearly full",
        "Checkpoints and logs fail when / is full.",
        _of("disk_percent", ">", 90, 300, clear_margin=2),
    ),
    Suggestion(
        "gone",
        "Machine gone",
        "It shall be connected, but has not answered.",
        _of(NOT_SEEN, ">", 300, 0),
    ),
    Suggestion(
        "throttled",
        "GPU throttled",
        "The driver holds the clock back: power, heat, or a fault.",
        _of(THROTTLED, ">=", 1, 600),
    ),
    Suggestion(
        "power_fault",
        "GB10 power fault",
        "A DGX Spark that is busy below 1400 MHz usually has one: unplug it for a minute.",
        _of("gpu_sm_clock_mhz", "<", 1400, 120, and_=_and("gpu_percent", ">", 80)),
    ),
    Suggestion(
        "idle",
        "GPU idle but held",
        "Somebody holds memory for hours without computing.",
        _of("gpu_percent", "<", 5, 2 * 3600, and_=_and("gpu_memory_percent", ">", 50)),
    ),
)
BY_KEY = {suggestion.key: suggestion for suggestion in SUGGESTIONS}
