"""What was measured, and the arithmetic on it. Nothing here measures or prints.

CPU figures are milliseconds of user and system time per sample of one machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.usage import Memory

# Of the site's CPU per machine-sample at 200 machines, all the way to Redis.
MOST_FLOORS = 2.5
MOST_EXECS = 0.4
# At 50 machines behind real sshds.
MOST_PEERS = 1.0
# From the keeper's read to parsed JSON, 50 machines, 50 sockets.
MOST_AGE_MS = 250.0
MOST_GROWTH = 2.5
GOAL_MACHINES = 200


@dataclass(frozen=True, slots=True)
class Scale:
    """One number of light machines: the keeper and the floor side by side."""

    machines: int
    keeper_ms: float
    floor_ms: float
    # The other processes of the site: name → ms.
    others_ms: dict[str, float]
    # Samples that came, of those that should have.
    complete: float
    memory: Memory
    connect_seconds: float
    execs_ms: float | None = None

    @property
    def tree_ms(self) -> float:
        return self.keeper_ms + sum(self.others_ms.values())


@dataclass(frozen=True, slots=True)
class Ages:
    """How old samples are when a browser has parsed them."""

    machines: int
    sockets: int
    milliseconds: Sequence[float]
    web_cores: float


@dataclass(frozen=True, slots=True)
class Peer:
    """gpustat-web over the same real sshds."""

    version: str
    machines: int
    keeper_ms: float
    peer_ms: float
    keeper_interval_seconds: float
    peer_interval_seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One named range: how long each answer took, and how long the database."""

    answer_ms: Sequence[float]
    database_ms: Sequence[float]
    bytes: int
    one_ms: Sequence[float]  # of one series alone


@dataclass(frozen=True, slots=True)
class History:
    """Figures of one run; rows are those of one machine's raw tier."""

    rows: int
    write_seconds: float
    copy_seconds: float | None
    roll_up_seconds: float
    hours: int
    ranges: Mapping[str, Asked]
    prometheus_ms: Mapping[str, Sequence[float]] | None  # of the same series; None without it


@dataclass(frozen=True, slots=True)
class Journal:
    """Bytes of WAL for each byte of log: of lines and of single dots, now and as it was before."""

    lines: float
    lines_before: float
    dots: float
    dots_before: float


@dataclass(frozen=True, slots=True)
class Growth:
    """A parser, and how much longer it took over twice the text; `text` is how that was made."""

    parser: str
    ratio: float
    text: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Milliseconds of CPU of one round of a queue in which all wait, now and as it was before."""

    jobs: int
    still: float  # nothing has changed since the round before
    moving: float  # what uses the GPUs has
    before: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure beside its limit; absent when it was not measured."""

    text: str
    limit: float
    figure: float | None

    @property
    def verdict(self) -> str:
        if self.figure is None:
            return "not measured"
        return "met" if self.figure <= self.limit else "MISSED"


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything of one run; a part that was left out is empty."""

    scales: Sequence[Scale] = ()
    ages: Ages | None = None
    peer: Peer | None = None
    history: History | None = None
    journal: Journal | None = None
    queue: Queue | None = None
    growth: Sequence[Growth] = ()


def per_sample_ms(cpu_seconds: float, samples: int) -> float:
    """CPU per sample; a window without samples has no figure, and is a failure."""
    if samples <= 0:
        raise ValueError("no sample came in the window")
    return cpu_seconds * 1000 / samples


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    rank = -(-percent * len(ordered) // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def goals(figures: Figures) -> list[Goal]:
    """What the site promises, beside what was found."""
    scale = next((one for one in figures.scales if one.machines == GOAL_MACHINES), None)
    peer, ages = figures.peer, figures.ages
    execs = scale.execs_ms if scale is not None else None
    return [
        Goal(
            f"keeper / floor at {GOAL_MACHINES} machines",
            MOST_FLOORS,
            scale.keeper_ms / scale.floor_ms if scale is not None else None,
        ),
        Goal(
            f"keeper / exec per poll at {GOAL_MACHINES} machines",
            MOST_EXECS,
            scale.keeper_ms / execs if scale is not None and execs else None,
        ),
        Goal(
            "keeper / gpustat-web behind real sshds",
            MOST_PEERS,
            peer.keeper_ms / peer.peer_ms if peer is not None else None,
        ),
        Goal(
            "keeper's read to browser, p95 in ms",
            MOST_AGE_MS,
            percentile(ages.milliseconds, 95) if ages is not None else None,
        ),
    ]


def growth_goals(growth: Sequence[Growth]) -> list[Goal]:
    """The slowest parser's; nothing if none was measured."""
    if not growth:
        return []
    worst = max(one.ratio for one in growth)
    return [Goal("a parser's time over twice the text", MOST_GROWTH, worst)]
