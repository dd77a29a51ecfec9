"""Who is charged with a minute of a GPU: pure functions from notes to the rows of the ledger.

* A note stands for the time that is nearest to it, within its minute, and for at most one and a
  half intervals to either side. What no note stands for is not counted.
* The GPU's time, utilisation and energy of that span are divided among those who hold memory on
  it, in proportion to their memory; equally, where one of them does not tell how much it holds.
  nvidia-smi measures utilisation and power per GPU, not per process: this division is a convention.
* A GPU without a visible process that is busy or holds memory is used by somebody unknown (the
  process list is hidden or absent); below both limits it is used by nobody; and one that reports
  neither is not counted.

So the shares of all owners, nobody included, add up to the GPU's counted time, and their energy to
the GPU's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from usage.notes import NOBODY, UNKNOWN, GpuNote, Note, Owner, known, plus

MINUTE_SECONDS = 60.0
# Below both a GPU is free, as the scheduler of jobs sees it too.
IDLE_PERCENT = 5.0
IDLE_BYTES = 500 * 2**20
# How far a note reaches to either side, in intervals of collecting.
REACH_INTERVALS = 1.5
_WATT_SECONDS_PER_WH = 3600.0
# Rows of one machine and minute; further owners on a GPU are counted together as not known.
MOST_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One owner on one GPU in one minute. Seconds of the clock, watt-hours, bytes.

    `seconds` is how long the owner was there, `share_seconds` the owner's part of the GPU's time,
    `busy_seconds` that part weighted by utilisation, `gpu_busy_seconds` the GPU's own utilisation
    over `seconds`, `idle_seconds` how long at least 500 MiB were held below 5 %. None: not told.
    """

    gpu: int
    owner: Owner
    seconds: float
    share_seconds: float
    busy_seconds: float | None
    gpu_busy_seconds: float | None
    idle_seconds: float | None
    memory_mean_bytes: float | None
    memory_max_bytes: float | None
    energy_wh: float | None

    @property
    def is_idle(self) -> bool:
        """Whether memory was held idly for most of the time."""
        return self.idle_seconds is not None and self.idle_seconds > 0.5 * self.seconds


@dataclass(frozen=True, slots=True)
class Minute:
    """One machine's minute: `at` is its end, `count` how many notes there were."""

    at: datetime
    count: int
    entries: tuple[Entry, ...]


def minute(end: datetime, notes: Sequence[Note], interval_seconds: float) -> Minute:
    """The entries of one minute; there is at least one note."""
    ordered = sorted(notes, key=lambda note: note.at)
    spans = _spans(end, [note.at for note in ordered], REACH_INTERVALS * interval_seconds)
    tallies: dict[tuple[int, Owner], _Tally] = {}
    for note, seconds in zip(ordered, spans, strict=True):
        for gpu in note.gpus:
            _charge(tallies, gpu, seconds)
    entries = [tally.entry(gpu, owner) for (gpu, owner), tally in tallies.items()]
    return Minute(end, len(notes), tuple(entries))


def _spans(end: datetime, times: Sequence[datetime], reach: float) -> list[float]:
    """The seconds that each moment stands for, between the moments beside it."""
    start = end - timedelta(seconds=MINUTE_SECONDS)
    at = [(time - start).total_seconds() for time in times]
    middles = [(left + right) / 2 for left, right in pairwise(at)]
    begins, ends = [0.0, *middles], [*middles, MINUTE_SECONDS]
    return [
        min(end, time + reach) - max(begin, time - reach)
        for time, begin, end in zip(at, begins, ends, strict=True)
    ]


def _charge(tallies: dict[tuple[int, Owner], "_Tally"], gpu: GpuNote, seconds: float) -> None:
    holders = _within_budget(tallies, gpu.index, gpu.holders or _unseen(gpu))
    busy = None if gpu.utilization_percent is None else gpu.utilization_percent / 100.0
    energy = None if gpu.power_watts is None else gpu.power_watts * seconds / _WATT_SECONDS_PER_WH
    for owner, share in _shares(holders).items():
        tally = tallies.get((gpu.index, owner))
        if tally is None:
            tally = tallies[gpu.index, owner] = _Tally()
        tally.add(seconds, share, busy, energy, holders[owner])


def _within_budget(
    tallies: Mapping[tuple[int, Owner], "_Tally"], gpu: int, holders: Mapping[Owner, int | None]
) -> Mapping[Owner, int | None]:
    """The owners, of whom those that would be one row too many are one together."""
    room = MOST_ROWS - len(tallies)
    if room >= len(holders):
        return holders
    kept: dict[Owner, int | None] = {}
    for owner, held in holders.items():
        if (gpu, owner) not in tallies:
            room -= 1
            owner = owner if room >= 0 else UNKNOWN
        kept[owner] = plus(kept.get(owner, 0), held)
    return kept


def _unseen(gpu: GpuNote) -> Mapping[Owner, int | None]:
    """Who has a GPU on which no process is to be seen."""
    percent, used = gpu.utilization_percent, gpu.used_bytes
    if percent is None and used is None:
        return {}
    if (percent or 0.0) < IDLE_PERCENT and (used or 0) < IDLE_BYTES:
        return {NOBODY: None}
    return {UNKNOWN: used}


def _shares(holders: Mapping[Owner, int | None]) -> dict[Owner, float]:
    """Each owner's part of the whole, 1.0 in sum."""
    told = known(list(holders.values()))
    total = sum(told) if told else 0
    if not told or not total:
        return dict.fromkeys(holders, 1.0 / len(holders)) if holders else {}
    return {owner: part / total for owner, part in zip(holders, told, strict=True)}


@dataclass(slots=True)
class _Tally:
    """The sums of one owner on one GPU; `None` until something was told."""

    seconds: float = 0.0
    share_seconds: float = 0.0
    busy_seconds: float | None = None
    gpu_busy_seconds: float | None = None
    idle_seconds: float | None = None
    energy_wh: float | None = None
    byte_seconds: float = 0.0
    told_seconds: float = 0.0
    most_bytes: int | None = None

    def add(
        self,
        seconds: float,
        share: float,
        busy: float | None,
        energy_wh: float | None,
        held: int | None,
    ) -> None:
        self.seconds += seconds
        self.share_seconds += share * seconds
        if energy_wh is not None:
            self.energy_wh = (self.energy_wh or 0.0) + share * energy_wh
        if busy is not None:
            self.busy_seconds = (self.busy_seconds or 0.0) + share * busy * seconds
            self.gpu_busy_seconds = (self.gpu_busy_seconds or 0.0) + busy * seconds
        if held is not None:
            self.byte_seconds += held * seconds
            self.told_seconds += seconds
            self.most_bytes = max(held, self.most_bytes or 0)
        if held is not None and busy is not None:
            is_idle = held >= IDLE_BYTES and busy < IDLE_PERCENT / 100.0
            self.idle_seconds = (self.idle_seconds or 0.0) + (seconds if is_idle else 0.0)

    def entry(self, gpu: int, owner: Owner) -> Entry:
        mean = self.byte_seconds / self.told_seconds if self.told_seconds else None
        return Entry(
            gpu=gpu,
            owner=owner,
            seconds=self.seconds,
            share_seconds=self.share_seconds,
            busy_seconds=self.busy_seconds,
            gpu_busy_seconds=self.gpu_busy_seconds,
            idle_seconds=self.idle_seconds,
            memory_mean_bytes=mean,
            memory_max_bytes=self.most_bytes,
            energy_wh=self.energy_wh,
        )
