"""The grammar of what clients send about alert rules, and the shape of what they get."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, StrictStr, StringConstraints

from alerts.quantities import QUANTITIES
from connections.schemas import Tag
from core.schemas import Input, Moment, Name, Output

LONGEST_HOLD_SECONDS = 7 * 24 * 3600
MOST_CHANNELS = 20


def metric(name: str) -> str:
    """A quantity that rules can watch; `ValueError` otherwise."""
    if name not in QUANTITIES:
        raise ValueError(f"There is no such metric. There are: {', '.join(sorted(QUANTITIES))}.")
    return name


MetricName = Annotated[StrictStr, StringConstraints(max_length=100), AfterValidator(metric)]
Comparison = Literal[">", ">=", "<", "<="]
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

    name: Name = ""
    metric: MetricName = ""
    comparison: Comparison = ">"
    threshold: Number = 0.0


class RuleOut(Output):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: UUID
    team_id: UUID
    name: str
    metric: str
    comparison: str
    threshold: float
    for_seconds: int
    clear_margin: float
    and_: Annotated[dict[str, Any] | None, Field(alias="and")]
    connection_id: UUID | None
    tag: str | None
    gpu: int | None
    channel_ids: list[UUID]
    enabled: bool
    snoozed_until: str | None
    created_at: str
    updated_at: str


class RuleList(Output):
    items: list[RuleOut]
    count: int


class AlertOut(Output):
    id: UUID
    rule_id: UUID
    connection_id: UUID
    gpu: int | None
    state: str
    value: float | None
    started_at: str
    fired_at: str | None
    resolved_at: str | None
    acknowledged_at: str | None


class AlertList(Output):
    items: list[AlertOut]
    count: int


class PreviewOut(Output):
    """`firings` is null where the past cannot tell; `detail` says why, and how exact it is."""

    firings: int | None
    start: str
    end: str
    resolution_seconds: int | None
    series: int
    detail: str
    items: list[dict[str, Any]]


class AlertFilter(Input):
    """Which alerts are asked for."""

    state: Literal["pending", "firing", "resolved"] | None = None
    connection_id: UUID | None = None
    rule_id: UUID | None = None
    acknowledged: bool | None = None
