"""What the ledger keeps of one sample: per GPU, how busy, what power, and who holds memory.

Pure functions. A process belongs to the GPU whose id, or whose MIG slice's id, it names; one that
names none belongs to the only GPU there is, and to no GPU where there are several: it is left out
rather than guessed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from core import cleaner
from metrics.collectors.readings import Gpu, MigDevice, Process, Sample

# What a `smallint` holds; an index beyond it is a machine's nonsense, not a GPU.
_GREATEST_INDEX = 32_767
# More containers on one GPU are counted together as "not known".
MOST_OWNERS = 64
_LONGEST_NAME = 100


class Owner(NamedTuple):
    """Whose the time is: a user and a container as far as they are known, or nobody."""

    user: str | None = None
    container: str | None = None
    is_nobody: bool = False


NOBODY = Owner(is_nobody=True)
UNKNOWN = Owner()


@dataclass(frozen=True, slots=True)
class GpuNote:
    """One GPU in one sample; of `holders` each has its memory in bytes, None where untold.

    `used_bytes` is the GPU's own memory; None where it has none of its own (unified memory).
    """

    index: int
    utilization_percent: float | None
    power_watts: float | None
    used_bytes: int | None
    holders: Mapping[Owner, int | None]


@dataclass(frozen=True, slots=True)
class Note:
    """One sample, as the ledger sees it."""

    at: datetime
    gpus: tuple[GpuNote, ...]


def note_of(sample: Sample) -> Note:
    """What is kept of a sample."""
    holders = _holders(sample)
    gpus = [_gpu_note(gpu, holders.get(gpu.index, {})) for gpu in sample.gpus if _is_sane(gpu)]
    return Note(_as_kept(sample.recorded_at), tuple(gpus))


def note_from(data: Mapping[str, Any]) -> Note:
    """The same of a sample as the API shows it, which is how the live ring keeps it."""
    gpus = [Gpu(**{**gpu, "mig": tuple(MigDevice(**part) for part in gpu["mig"])})
            for gpu in data["gpus"]]  # fmt: skip
    processes = [Process(**process) for process in data["processes"]]
    at = datetime.fromisoformat(data["recorded_at"])
    return note_of(Sample(at, gpus=tuple(gpus), processes=tuple(processes)))


def _as_kept(at: datetime) -> datetime:
    """To the millisecond, as the live ring has it: a sample that comes from both counts once."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _is_sane(gpu: Gpu) -> bool:
    return 0 <= gpu.index <= _GREATEST_INDEX


def _gpu_note(gpu: Gpu, holders: Mapping[Owner, int | None]) -> GpuNote:
    is_own = gpu.memory_kind != "unified"
    return GpuNote(
        gpu.index,
        gpu.utilization_percent,
        gpu.power_watts,
        gpu.memory_used_bytes if is_own else None,
        holders,
    )


def _holders(sample: Sample) -> dict[int, dict[Owner, int | None]]:
    """The owners on each GPU, by its index, with the sum of their processes."""
    found: dict[int, dict[Owner, int | None]] = {}
    index_of = _indices(sample.gpus)
    only = sample.gpus[0].index if len(sample.gpus) == 1 else None
    for process in sample.processes:
        index = index_of.get(process.gpu_uuid, only)
        if index is not None:
            _add(found.setdefault(index, {}), process)
    return found


def _indices(gpus: Iterable[Gpu]) -> dict[str | None, int]:
    found: dict[str | None, int] = {part.uuid: gpu.index for gpu in gpus for part in gpu.mig}
    found |= {gpu.uuid: gpu.index for gpu in gpus}
    found.pop(None, None)
    return found


def _add(holders: dict[Owner, int | None], process: Process) -> None:
    owner = Owner(_name(process.user), _name(process.container))
    if owner not in holders:
        if len(holders) >= MOST_OWNERS:
            owner = UNKNOWN
        holders.setdefault(owner, 0)
    holders[owner] = plus(holders[owner], process.memory_used_bytes)


def _name(text: str | None) -> str | None:
    """A name as a column can hold it."""
    return cleaner.line(text or "", _LONGEST_NAME, unseen="").strip() or None


def plus(sum_: int | None, part: int | None) -> int | None:
    """A sum of which a part is not told is not told."""
    return None if sum_ is None or part is None else sum_ + part


def known(values: Sequence[int | None]) -> list[int] | None:
    """All values, or None unless every one is told."""
    told = [value for value in values if value is not None]
    return told if len(told) == len(values) else None
