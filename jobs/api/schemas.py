"""The grammar of what clients send about jobs, and the shape of what they get."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from core.openapi import Choice, Instant
from core.pagination import Page
from core.schemas import CHANGES, Input, Moment, Name, Output, Printable, Words
from jobs.api import validators
from jobs.log import store as log_store
from jobs.models import Reason, Status
from jobs.tracking.curves import MOST_NAMES, MOST_POINTS
from metrics.models import TierName

Command = Annotated[StrictStr, AfterValidator(validators.command)]
Image = Annotated[StrictStr, AfterValidator(validators.image)]
CondaEnv = Annotated[StrictStr, AfterValidator(validators.conda_env)]
Environment = Annotated[dict[StrictStr, StrictStr], AfterValidator(validators.environment)]
Device = Annotated[StrictStr, StringConstraints(max_length=200), Printable]
Devices = Annotated[list[StrictInt | Device], Field(max_length=validators.MOST_GPUS)]
Gpus = Annotated[StrictInt | Devices, AfterValidator(validators.gpus)]
FolderPath = Annotated[StrictStr, StringConstraints(max_length=1024), Printable]
Names = Annotated[
    list[Annotated[StrictStr, StringConstraints(max_length=128)]], Field(max_length=200)
]


Kind = Annotated[Literal["command", "container"], Choice("JobKind")]
_STATUS = Choice("JobStatus", Status.values)
JobStatus = Annotated[str, _STATUS]
JobReason = Annotated[str, Choice("JobReason", Reason.values)]


class JobIn(Input):
    """A job to make; with `start` it goes into its machine's queue at once."""

    project_id: UUID
    name: Name
    model_name: Words = ""
    kind: Kind = "command"
    command: Command = ""
    image: Image | None = None
    virtualenv: FolderPath | None = None
    conda_env: CondaEnv | None = None
    environment: Environment = Field(default_factory=dict)
    secret_names: Names = Field(default_factory=list)
    gpus: Gpus = 0
    wait_for_gpu: StrictBool = True
    priority: Annotated[StrictInt, Field(ge=-1000, le=1000)] = 0
    max_minutes: Annotated[StrictInt, Field(ge=1, le=525_600)] | None = None
    max_retries: Annotated[StrictInt, Field(ge=0, le=20)] = 0
    not_before: Moment | None = None
    after: UUID | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    start: StrictBool = True


class JobPatch(Input):
    """What is to change; a field that is not sent stays as it is."""

    model_config = CHANGES

    name: Name = ""
    model_name: Words = ""
    command: Command = ""
    image: Image | None = None
    virtualenv: FolderPath | None = None
    conda_env: CondaEnv | None = None
    environment: Environment = Field(default_factory=dict)
    secret_names: Names = Field(default_factory=list)
    gpus: Gpus = 0
    wait_for_gpu: StrictBool = True
    priority: Annotated[StrictInt, Field(ge=-1000, le=1000)] = 0
    max_minutes: Annotated[StrictInt, Field(ge=1, le=525_600)] | None = None
    max_retries: Annotated[StrictInt, Field(ge=0, le=20)] = 0
    not_before: Moment | None = None
    after: UUID | None = None
    config: dict[str, Any] = Field(default_factory=dict)


class JobFilter(Page):
    """Which jobs are listed."""

    connection_id: UUID | None = None
    project_id: UUID | None = None
    status: Annotated[Status, _STATUS] | None = None
    q: Annotated[StrictStr, StringConstraints(max_length=100), Printable] = ""


class LogPart(BaseModel):
    """Which bytes of a log."""

    model_config = ConfigDict(frozen=True)

    offset: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=log_store.LARGEST_LIMIT)] = log_store.DEFAULT_LIMIT


class LogWords(Page):
    """What is looked for in a log."""

    q: Annotated[StrictStr, StringConstraints(max_length=200), Printable] = ""


class JobOut(Output):
    id: UUID
    project_id: UUID
    connection_id: UUID
    name: str
    model_name: str
    kind: Kind
    command: str
    image: str | None
    virtualenv: str | None
    conda_env: str | None
    environment: dict[str, str]
    gpus: int | list[int | str]
    granted_gpus: list[str] | None
    wait_for_gpu: bool
    priority: int
    max_minutes: int | None
    max_retries: int
    attempt: int
    not_before: Instant | None
    after: UUID | None
    retry_of: UUID | None
    config: dict[str, Any]
    status: JobStatus
    reason: JobReason | None
    detail: str | None
    waiting_reason: str | None
    estimated_start_at: Instant | None
    stop_requested_at: Instant | None
    container_id: str | None
    exit_code: int | None
    log_bytes: int
    log_lines: int
    requested_by: str | None
    created_at: Instant
    queued_at: Instant | None
    started_at: Instant | None
    completed_at: Instant | None
    updated_at: Instant
    metrics: dict[str, Any]


class MachineOriginOut(Output):
    host: str | None
    kernel: str | None
    architecture: str | None
    distribution: str | None
    driver_version: str | None
    cuda_version: str | None


class GitOut(Output):
    """`changed_files` are those that differ from the commit, new ones among them."""

    commit: str
    branch: str | None
    is_dirty: bool | None
    changed_files: int | None
    remote_url: str | None


class PythonOut(Output):
    """`packages` are `name==version`."""

    version: str | None
    path: str | None
    packages: list[str] | None


class OriginGpuOut(Output):
    """`uuid` is that of the MIG slice where one was granted."""

    index: int
    name: str | None
    uuid: str | None


class OriginOut(Output):
    """What the run began from. `git_reason` is why `git` is null."""

    machine: MachineOriginOut
    git: GitOut | None
    git_reason: str | None
    python: PythonOut | None
    gpus: list[OriginGpuOut]
    recorded_at: Instant


class JobDetailOut(JobOut):
    """One job; `origin` is null until the machine has told it, or if it never did."""

    origin: OriginOut | None


class JobList(Output):
    items: list[JobOut]
    count: int


class LogOut(Output):
    offset: int
    next_offset: int
    text: str
    complete: bool


class FoundOut(Output):
    line: int
    offset: int
    text: str


class FoundList(Output):
    """`complete` is false when time ended before the log did, and else not there."""

    items: list[FoundOut]
    count: int
    complete: Literal[False] = False


class MetricsQuery(BaseModel):
    """How many points a series and a curve may have."""

    model_config = ConfigDict(frozen=True)

    max_points: Annotated[int, Field(ge=1, le=20_000)] = 1500


class RunSeries(Output):
    """On one time base; `gpus` by index. Each series has `avg`, `min` and `max`."""

    timestamp: list[Instant]
    machine: dict[str, dict[str, list[float | None]]]
    gpus: dict[str, dict[str, dict[str, list[float | None]]]]


class CurveOut(Output):
    """A value of null was not finite, a time of null is not known."""

    step: list[int]
    value: list[float | None]
    timestamp: list[Instant | None]


class ScalarsQuery(BaseModel):
    """Which curves; without a name, those that count most."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[list[Words] | None, Field(max_length=MOST_NAMES)] = None
    max_points: Annotated[int, Field(ge=1, le=MOST_POINTS)] = 1500


class LastOut(Output):
    step: int | None
    value: float | None


class ScalarsOut(Output):
    """`names` are all of them, what a run is judged by first; `end` is null while it goes on."""

    end: Instant | None
    complete: bool
    note: str | None
    names: list[str]
    last: dict[str, LastOut]
    scalars: dict[str, CurveOut]


class ProgressOut(Output):
    percent: float
    step: int
    total: int
    rate_per_second: float | None
    eta_seconds: float | None


class JobMetricsOut(Output):
    """`energy_wh` and `mean_gpu_percent` cover `measured_seconds` of the run."""

    start: Instant | None
    end: Instant | None
    tier: Annotated[str, Choice("Tier", TierName.values)] | None
    resolution_seconds: int | None
    series: RunSeries
    energy_wh: float | None
    measured_seconds: float | None
    mean_gpu_percent: float | None
    peak_gpu_memory_bytes: int | None
    cost: float | None
    currency: str | None
    scalars: dict[str, CurveOut]
    scalars_complete: bool
    scalars_note: str | None
    progress: ProgressOut | None


class ChangeOut(Output):
    at: Instant
    from_: Annotated[JobStatus | None, Field(alias="from")]
    to: JobStatus
    who: str
    why: str | None


class ChangeList(Output):
    items: list[ChangeOut]
    count: int


class WishIn(Input):
    """Which GPU to be told of; null is any."""

    gpu: Annotated[StrictInt, Field(ge=0, le=1023)] | None = None


class WishOut(Output):
    gpu: int | None
    created_at: Instant


class WishList(Output):
    items: list[WishOut]
    count: int


class QueueOut(Output):
    is_paused: bool
    paused_by: str | None
    paused_at: Instant | None
    idle_percent: float
    idle_bytes: int
    hold_seconds: float
    per_person: int | None


class QueuePatch(Input):
    """The rules of a machine's queue; a field that is not sent stays as it is."""

    model_config = CHANGES

    is_paused: StrictBool = False
    idle_percent: Annotated[float, Field(ge=0, le=100)] = 5.0
    idle_bytes: Annotated[StrictInt, Field(ge=0, le=2**50)] = 500 * 2**20
    hold_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0
    per_person: Annotated[StrictInt, Field(ge=1, le=10_000)] | None = None
