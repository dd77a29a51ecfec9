"""Which GPUs and MIG slices of a machine are free, and who uses the others. Pure.

A device is free when, for as long as the machine's queue holds, nothing that the site did not start
computed on it: utilisation below the threshold, and memory too. With unified memory that is the sum
of the foreign compute processes, elsewhere what the GPU itself reports. While one of our jobs holds
a device its utilisation and memory are the job's, so only foreign processes count; for a moment
after a job has ended, samples may still show it, and say nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from metrics.collectors.readings import Gpu, Process, Sample

CONTAINER_PREFIX = "dgxsite-"
# A sample older than this many intervals says nothing about now.
FRESH_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """When a queue calls a device free. Percent, bytes, seconds."""

    idle_percent: float = 5.0
    idle_bytes: int = 500 * 2**20
    hold_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Noted:
    """A sample as the keeper got it: when (monotonic), what our jobs held, what they just left."""

    at: float
    sample: Sample
    held: frozenset[str] = frozenset()
    settling: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, or a slice of one. `key` is its index or its MIG UUID; `use` is None when free."""

    key: str
    label: str
    use: str | None
    is_slice: bool = False
    is_split: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a machine's devices now."""

    history: Sequence[Noted]
    owners: Mapping[int, UUID | None]
    now: float
    interval: float
    rules: Rules = field(default_factory=Rules)


def devices(view: View) -> list[Device] | None:
    """Every device of the newest sample; None while there is no fresh one."""
    newest = view.history[-1] if view.history else None
    if newest is None or view.now - newest.at > FRESH_INTERVALS * view.interval:
        return None
    found = []
    for gpu in newest.sample.gpus:
        found.append(_whole(gpu, view))
        found += [_slice(gpu, number, view) for number in range(len(gpu.mig))]
    return found


def _whole(gpu: Gpu, view: View) -> Device:
    key, label = str(gpu.index), f"GPU {gpu.index}"
    if gpu.mig:
        return Device(key, label, f"{label} is split into MIG slices", is_split=True)
    return Device(key, label, _use(key, label, gpu.index, None, view))


def _slice(gpu: Gpu, number: int, view: View) -> Device:
    mig = gpu.mig[number]
    key = mig.uuid or f"{gpu.index}:{mig.index}"
    label = f"MIG slice {mig.index} of GPU {gpu.index}"
    return Device(key, label, _use(key, label, gpu.index, key, view), is_slice=True)


def _use(key: str, label: str, index: int, slice_key: str | None, view: View) -> str | None:
    """Why the device is not free, in words."""
    newest = view.history[-1]
    if words := _busy(newest, key, label, index, slice_key, view):
        return words
    if key in newest.settling:
        return f"{label} was just given back"
    quiet = 0.0
    for noted in reversed(view.history):
        quiet = view.now - noted.at
        if quiet >= view.rules.hold_seconds:
            return None
        if _busy(noted, key, label, index, slice_key, view):
            break
    return (
        f"{label} has been idle for {quiet:.0f} s and counts as free after "
        f"{view.rules.hold_seconds:g} s"
    )


def _busy(
    noted: Noted, key: str, label: str, index: int, slice_key: str | None, view: View
) -> str | None:
    """What uses the device in this sample that our jobs do not account for."""
    gpu = next((gpu for gpu in noted.sample.gpus if gpu.index == index), None)
    if gpu is None:
        return f"{label} was not reported"
    foreign = [p for p in _processes(noted.sample, gpu, slice_key) if not _is_ours(p, view)]
    if words := _used_by(label, foreign, view.rules):
        return words
    if key in noted.held or key in noted.settling:
        return None
    used, percent = _load(gpu, slice_key)
    if used is not None and used >= view.rules.idle_bytes:
        return f"{label} holds {_size(used)} of memory"
    if percent is not None and percent >= view.rules.idle_percent:
        return f"{label} is busy at {percent:.0f} %"
    return None


def _processes(sample: Sample, gpu: Gpu, slice_key: str | None) -> list[Process]:
    wanted = gpu.uuid if slice_key is None else slice_key
    if wanted is None and len(sample.gpus) == 1:
        return list(sample.processes)
    return [process for process in sample.processes if process.gpu_uuid == wanted]


def _is_ours(process: Process, view: View) -> bool:
    in_container = (process.container or "").startswith(CONTAINER_PREFIX)
    return in_container or view.owners.get(process.pid) is not None


def _used_by(label: str, foreign: Sequence[Process], rules: Rules) -> str | None:
    """The largest foreign process in words, if together they are more than idle."""
    if not foreign:
        return None
    sizes = [process.memory_used_bytes for process in foreign]
    known = [size for size in sizes if size is not None]
    if len(known) == len(sizes) and sum(known) < rules.idle_bytes:
        return None
    biggest = max(foreign, key=lambda process: process.memory_used_bytes or 0)
    who = f"user {biggest.user}" if biggest.user else f"process {biggest.pid}"
    what = [biggest.name.rsplit("/", 1)[-1][:60]] if biggest.name else []
    if biggest.memory_used_bytes is not None:
        what.append(_size(biggest.memory_used_bytes))
    tail = f": {', '.join(what)}" if what else ""
    return f"{label} is used by {who}{tail}"


def _load(gpu: Gpu, slice_key: str | None) -> tuple[int | None, float | None]:
    """Memory and utilisation that count; a slice reports no utilisation of its own."""
    if slice_key is not None:
        found = next((mig for mig in gpu.mig if mig.uuid == slice_key), None)
        return (found.memory_used_bytes if found else None), None
    # With unified memory only processes tell what the GPU holds of it.
    used = None if gpu.memory_kind == "unified" else gpu.memory_used_bytes
    return used, gpu.utilization_percent


def _size(count: int) -> str:
    if count >= 10**9:
        return f"{count / 10**9:.0f} GB"
    return f"{count / 10**6:.0f} MB"
