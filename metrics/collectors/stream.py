"""The bytes of one collector program → samples, one per frame.

`Collector` holds what one machine said last; it reads no clock and does no I/O. Tags of the
program's records (see `collector.sh`), and who understands them, stand in `Collector.__init__`.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import islice

from metrics.collectors.allowance import Names
from metrics.collectors.amd import amd_smi, rocm_smi
from metrics.collectors.documents import Documents, lines
from metrics.collectors.framing import Framing, Record
from metrics.collectors.health import Source, frames_in
from metrics.collectors.linux import df, docker_ps, power_supply, proc
from metrics.collectors.linux.network import MAX_PAYLOAD as MAX_NAMES_PAYLOAD
from metrics.collectors.linux.network import NetworkFeed
from metrics.collectors.nvidia.feed import NvidiaFeed
from metrics.collectors.readings import Battery, Cpu, Disk, Gpu, Health, Sample
from metrics.collectors.tokens import MEGAHERTZ, Refusals, number, words

# Clocks of processors that are averaged.
MAX_CLOCKS = 4096
# GPUs that answer under a new identifier within an hour.
MAX_GPU_NAMES = 256
NAMES_SECONDS = 3600.0
# How long a word holds: slow facts come every 10 s, AMD's tools answer every 4 s.
SLOW_SECONDS = 40.0
AMD_SECONDS = 16.0
FREQUENCY_KHZ = (0.0, 1e8, 1)


class Collector:
    """One machine's stream. `feed` returns a sample per completed frame, and never raises."""

    def __init__(self, marker: str, interval_seconds: float = 2.0) -> None:
        self.interval_seconds = interval_seconds
        self.refusals = Refusals()
        self.frames = 0
        self._framing = Framing(marker)
        self._documents = Documents()
        # Tag → what was wrong with its last output, for as long as the next one is not better.
        self._refused: dict[str, str] = {}
        self._gpu_names = Names(MAX_GPU_NAMES, frames_in(NAMES_SECONDS, interval_seconds))
        self._nvidia = NvidiaFeed(self.refusals, interval_seconds)
        self._network = NetworkFeed(interval_seconds)
        self._cpu: proc.CpuTimes | None = None
        self._frequency_mhz: float | None = None
        self._disks: dict[str, tuple[Disk, ...]] = {}
        self._battery: Battery | None = None
        self._containers: dict[str, str] = {}
        self._amd: tuple[Gpu, ...] = ()
        self._amd_static = b""
        slow = frames_in(SLOW_SECONDS, interval_seconds)
        self._rocm = Source("rocm", frames_in(AMD_SECONDS, interval_seconds))
        self._proc = Source("proc", 0)
        self._disk_source = Source("disks", slow)
        self._network_source = Source("network", 0)
        self._battery_source = Source("battery", slow)
        self._docker = Source("docker", slow)
        # Tag → what takes each line as it comes.
        self._lines: dict[str, Callable[[str], None]] = {
            "G": lambda payload: self._nvidia.stream(payload, self.frames),
            "P": lambda payload: self._nvidia.apps(payload, self.frames),
            "U": self._nvidia.owner,
            "N": lambda payload: self._network.hardware(payload[:MAX_NAMES_PAYLOAD].split()),
            "T": lambda payload: self._network.default_routes(payload[:MAX_NAMES_PAYLOAD].split()),
            "I": self._network.port,
        }
        # Tag → what takes a whole output, with the exit status of its tool.
        self._whole: dict[str, Callable[[str, str], None]] = {
            "L": lambda text, status: self._nvidia.listed(lines(text)),
            "X": self._nvidia_xml,
            "D": lambda text, status: self._df("local", lines(text)),
            "M": lambda text, status: self._df("network", lines(text)),
            "C": self._docker_ps,
            "R": self._rocm_smi,
            "A": self._amd_smi,
            "B": self._amd_facts,
            "Q": self._power_supply,
            "K": self._frequency,
        }
        # Tag → the source that a machine may simply not have.
        self._optional = {"C": self._docker, "R": self._rocm, "D": self._disk_source}
        # Tag → the source in whose health a refused output is named.
        self._source_of = {
            "L": self._nvidia.source.name,
            "X": self._nvidia.source.name,
            "D": self._disk_source.name,
            "M": self._disk_source.name,
            "C": self._docker.name,
            "R": self._rocm.name,
            "A": self._rocm.name,
            "B": self._rocm.name,
            "Q": self._battery_source.name,
            "K": self._proc.name,
        }

    @property
    def started(self) -> bool:
        """Whether the program's marker was seen: the machine runs it."""
        return self._framing.started

    @property
    def dropped(self) -> int:
        """Records and frames that were torn or too large."""
        return self._framing.dropped

    def feed(
        self,
        data: bytes,
        recorded_at: datetime,
        monotonic: float,
        is_wanted: Callable[[], bool] | None = None,
    ) -> list[Sample]:
        """The samples that `data` completes; a frame that `is_wanted` refuses is not read.

        `recorded_at` is our time of receipt: the machine's wall clock is never used. Rates come
        from the machine's own uptime, so `monotonic` has no influence on a value.
        """
        samples = []
        for record in self._framing.feed(data):
            if record.tag == "F":
                self.frames += 1
                if is_wanted is None or is_wanted():
                    samples.append(self._sample(record.payload, recorded_at))
            else:
                self._record(record)
        return samples

    # Records between the frames.

    def _record(self, record: Record) -> None:
        tag, payload = record.tag, record.payload
        if tag in self._lines:
            self._lines[tag](payload)
        elif tag in self._whole:
            self._document(tag, payload[:1], payload[1:])

    def _document(self, tag: str, kind: str, text: str) -> None:
        """Gather the lines of one output; "." ends it with the exit status, "-" says no tool."""
        if kind == " ":
            self._note_excess(tag, self._documents.add(tag, text))
            return
        document = self._documents.end(tag)
        if kind == "." and document is not None:
            self._refused.pop(tag, None)
            self._whole[tag](document, text)
        elif kind == "-" and tag in self._optional:
            self._optional[tag].missing(self.frames)

    def _nvidia_xml(self, document: str, status: str) -> None:
        self._note_excess("X", self._nvidia.xml(document, self.frames))

    def _note_excess(self, tag: str, what: str | None) -> None:
        if what is not None:
            self._refused[tag] = what

    def _df(self, part: str, rows: list[str]) -> None:
        self._disks[part] = df.parse(rows)
        if len(self._disks[part]) >= df.MAX_DISKS:
            most = f"the first {df.MAX_DISKS} of {len(rows) - 1} file systems are shown"
            self._note_excess("D" if part == "local" else "M", most)
        if part != "local":
            return
        if self._disks[part]:
            self._disk_source.answered(self.frames)
        else:
            self._disk_source.failed(self.frames, " ".join(rows))

    def _docker_ps(self, document: str, status: str) -> None:
        self._containers = docker_ps.parse(lines(document))
        if len(self._containers) >= docker_ps.MAX_CONTAINERS:
            self._note_excess("C", f"more than {docker_ps.MAX_CONTAINERS} containers run")
        said = document.strip()
        if status == "0" and (self._containers or not said):
            self._docker.answered(self.frames)
        else:
            self._docker.failed(self.frames, said)

    def _rocm_smi(self, document: str, status: str) -> None:
        self._amd_gpus(document, rocm_smi.parse)

    def _amd_smi(self, document: str, status: str) -> None:
        static = self._amd_static.decode()
        self._amd_gpus(document, lambda text, refusals: amd_smi.parse(text, static, refusals))

    def _amd_gpus(self, text: str, parse: Callable[[str, Refusals], tuple[Gpu, ...]]) -> None:
        try:
            self._amd = parse(text, self.refusals)
        except ValueError as error:
            # What the tool prints instead of JSON is its own explanation.
            said = text if "{" not in text and "[" not in text else f"bad output: {error}"
            self._rocm.failed(self.frames, said)
            return
        self._rocm.answered(self.frames)

    def _amd_facts(self, document: str, status: str) -> None:
        self._amd_static = document.encode()

    def _power_supply(self, document: str, status: str) -> None:
        self._battery = power_supply.parse(lines(document))
        self._battery_source.answered(self.frames)

    def _frequency(self, document: str, status: str) -> None:
        """All clocks in kHz on one line, or as "cpu MHz : n n …" where there is no cpufreq."""
        every = (value for line in lines(document) for value in _megahertz(line, self.refusals))
        told = list(islice(every, MAX_CLOCKS))
        known = [value for value in told if value]
        self._frequency_mhz = round(sum(known) / len(known), 1) if known else None

    # A frame.

    def _sample(self, text: str, recorded_at: datetime) -> Sample:
        uptime = proc.uptime(text)
        times = proc.cpu_times(text)
        cpu = Cpu(
            proc.utilization_percent(self._cpu, times),
            proc.cores(text),
            self._frequency_mhz,
            proc.load_1m(text),
        )
        self._cpu = times
        memory = proc.memory(text)
        networks = self._network.networks(text, uptime)
        self._note(self._proc, times is not None and memory.total_bytes is not None, "/proc")
        self._note(self._network_source, bool(networks), "/proc/net/dev")
        gpus = self._named(self._nvidia.gpus(self.frames, memory) + self._amd_now())
        return Sample(
            recorded_at=recorded_at,
            gpus=_numbered(gpus),
            processes=self._nvidia.processes(self.frames, self._containers),
            cpu=cpu,
            memory=memory,
            disks=self._disks_now(),
            networks=networks,
            battery=self._battery,
            health=self._health(),
        )

    def _note(self, source: Source, is_there: bool, path: str) -> None:
        if is_there:
            source.answered(self.frames)
        else:
            source.failed(self.frames, f"{path} is not readable")

    def _amd_now(self) -> tuple[Gpu, ...]:
        if self._rocm.is_fresh(self.frames):
            return self._amd
        return tuple(
            Gpu(
                index=gpu.index,
                uuid=gpu.uuid,
                name=gpu.name,
                memory_total_bytes=gpu.memory_total_bytes,
                memory_kind=gpu.memory_kind,
                power_limit_watts=gpu.power_limit_watts,
            )
            for gpu in self._amd
        )

    def _disks_now(self) -> tuple[Disk, ...]:
        if not self._disk_source.is_fresh(self.frames):
            return ()
        return self._disks.get("local", ()) + self._disks.get("network", ())

    def _named(self, gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
        """The GPUs; one whose identifier is one too many has none."""
        return tuple(
            gpu
            if gpu.uuid is None or self._gpu_names.take(gpu.uuid, self.frames)
            else replace(gpu, uuid=None)
            for gpu in gpus
        )

    def _excess(self) -> dict[str, str]:
        """Source → what it had beyond what is read and kept of one machine."""
        said = {self._source_of[tag]: wrong for tag, wrong in self._refused.items()}
        nvidia = self._nvidia.excess
        if self._gpu_names.refused:
            nvidia = f"more than {MAX_GPU_NAMES} identifiers of GPUs within an hour"
        for source, excess in (
            (self._nvidia.source, nvidia),
            (self._network_source, self._network.excess),
        ):
            if excess is not None:
                said[source.name] = excess
        return said

    def _health(self) -> tuple[Health, ...]:
        sources = (
            self._nvidia.source,
            self._rocm,
            self._proc,
            self._disk_source,
            self._network_source,
            self._battery_source,
            self._docker,
        )
        entries = (source.entry(self.frames) for source in sources)
        known = tuple(entry for entry in entries if entry is not None)
        excess = self._excess()
        if not excess:
            return known
        told = tuple(entry for entry in known if entry.source not in excess)
        return told + tuple(Health(name, False, words(what)) for name, what in excess.items())


def _numbered(gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Indices are unique: a machine with cards of both vendors has two cards "0"."""
    taken: set[int] = set()
    result = []
    for gpu in gpus:
        index = gpu.index
        if index in taken:
            index = max(taken) + 1
            gpu = replace(gpu, index=index)
        taken.add(index)
        result.append(gpu)
    return tuple(result)


def _megahertz(line: str, refusals: Refusals) -> list[float | None]:
    name, colon, value = line.rpartition(":")
    if colon:
        mhz = value.split(None, MAX_CLOCKS)[:MAX_CLOCKS] if "MHz" in name else []
        return [number(word, MEGAHERTZ, "cpu MHz", refusals) for word in mhz]
    khz_words = line.split(None, MAX_CLOCKS)[:MAX_CLOCKS]
    clocks = [number(word, FREQUENCY_KHZ, "cpu kHz", refusals) for word in khz_words]
    return [None if khz is None else khz / 1000 for khz in clocks]
