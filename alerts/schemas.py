"""The grammar of what clients send about alert rules, and the shape of what they get."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, StrictStr, StringConstraints

from alerts.evaluation import COMPARISONS
from alerts.models import AlertState
from alerts.quantities import QUANTITIES
from connections.schemas import Tag
from core.openapi import Choice, Instant
from core.schemas import CHANGES, Input, Moment, Name, Output

LONGEST_HOLD_SECONDS = 7 * 24 * 3600
MOST_CHANNELS = 20


def metric(name: str) -> str:
    """A quantity that rules can watch; `ValueError` otherwise."""
    if name not in QUANTITIES:
        raise ValueError(f"There is no such metric. There are: {', '.join(sorted(QUANTITIES))}.")
    return name


_METRIC = Choice("Metric", sorted(QUANTITIES))
_COMPARISON = Choice("Comparison", COMPARISONS, names=("ABOVE", "AT_LEAST", "BELOW", "AT_MOST"))
_STATE = Choice("AlertState", AlertState.values)

MetricName = Annotated[
    StrictStr, StringConstraints(max_length=100), AfterValidator(metric), _METRIC
]
Comparison = Annotated[Literal[">", ">=", "<", "<="], _COMPARISON]
Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]


class SecondCondition(Input):
    """What must hold as well, for the same GPU if both are about GPUs."""

    metric: MetricName
    comparison: Comparison
    threshold: Number


class RuleIn(Input):
    """A rule; without `connection_id` and `tag` it is about all machines of the team, without
    `gpu` about each GPU on its own. Without `channel_ids` it goes to the channels that take alerts.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    name: Name
    metric: MetricName
    comparison: Comparison
    threshold: Number
    for_seconds: Annotated[int, Field(ge=0, le=LONGEST_HOLD_SECONDS)] = 0
    clear_margin: Annotated[Number, Field(ge=0)] = 0.0
    and_: Annotated[SecondCondition | None, Field(alias="and")] = None
    connection_id: UUID | None = None
    tag: Tag | Literal[""] | None = None
    gpu: Annotated[int, Field(ge=0, le=32_767)] | None = None
    channel_ids: Annotated[list[UUID], Field(max_length=MOST_CHANNELS)] = Field(
        default_factory=list
    )
    snoozed_until: Moment | None = None
    enabled: StrictBool = True
    team_id: UUID | None = None


class RulePatch(RuleIn):
    """What is to change; a field that is not sent stays as it is."""

    model_config = CHANGES

    name: Name = ""
    metric: MetricName = ""
    comparison: Comparison = ">"
    threshold: Number = 0.0


class ConditionOut(Output):
    metric: Annotated[str, _METRIC]
    comparison: Annotated[str, _COMPARISON]
    threshold: float


class RuleOut(Output):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: UUID
    team_id: UUID
    name: str
    metric: Annotated[str, _METRIC]
    comparison: Annotated[str, _COMPARISON]
    threshold: float
    for_seconds: int
    clear_margin: float
    and_: Annotated[ConditionOut | None, Field(alias="and")]
    connection_id: UUID | None
    tag: str | None
    gpu: int | None
    channel_ids: list[UUID]
    enabled: bool
    snoozed_until: Instant | None
    created_at: Instant
    updated_at: Instant


class RuleList(Output):
    items: list[RuleOut]
    count: int


class AlertOut(Output):
    id: UUID
    rule_id: UUID
    connection_id: UUID
    gpu: int | None
    state: Annotated[str, _STATE]
    value: float | None
    started_at: Instant
    fired_at: Instant | None
    resolved_at: Instant | None
    acknowledged_at: Instant | None


class AlertList(Output):
    items: list[AlertOut]
    count: int


class FiringOut(Output):
    """One alert that there would have been; it would still fire while `resolved_at` is null."""

    connection_id: UUID
    gpu: int | None
    fired_at: Instant
    resolved_at: Instant | None


class PreviewOut(Output):
    """`firings` is null where the past cannot tell; `detail` says why, and how exact it is."""

    firings: int | None
    start: Instant
    end: Instant
    resolution_seconds: int | None
    series: int
    detail: str
    items: list[FiringOut]


class AlertFilter(Input):
    """Which alerts are asked for."""

    state: Annotated[Literal["pending", "firing", "resolved"], _STATE] | None = None
    connection_id: UUID | None = None
    rule_id: UUID | None = None
    acknowledged: bool | None = None
