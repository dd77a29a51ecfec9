"""Everything nvidia-smi says on one machine over time → its GPUs and processes at a frame.

Four outputs of the tool arrive side by side: the CSV stream (live values), compute processes,
`-L` and `-q -x` (inventory, MIG). Where one fails the others are used.
"""

from collections.abc import Sequence
from dataclasses import replace

from metrics.collectors.allowance import Names
from metrics.collectors.health import NOT_FOUND, Source, frames_in
from metrics.collectors.linux import docker_ps, owners
from metrics.collectors.nvidia import compute_apps, gpu_list, query_csv, query_xml, values
from metrics.collectors.readings import Gpu, Memory, MigDevice, Process
from metrics.collectors.tokens import Refusals

MAX_GPUS = 64
MAX_APPS = 1024
MAX_OWNERS = 4096
# Users and containers that compute on one machine within an hour; beyond them a process is nobody's
# that is known.
MAX_NAMES = 512
NAMES_SECONDS = 3600.0
# How long a word holds. At the usual pace the stream speaks every 2 s, compute processes every
# 4 s, the XML (where it is repeated) every 10 s.
STREAM_SECONDS = 10.0
APPS_SECONDS = 8.0
XML_SECONDS = 40.0


class NvidiaFeed:
    """Holds the last word of each output of nvidia-smi; never raises on what it is fed."""

    def __init__(self, refusals: Refusals, interval_seconds: float) -> None:
        self._stream_patience = frames_in(STREAM_SECONDS, interval_seconds)
        self._apps_patience = frames_in(APPS_SECONDS, interval_seconds)
        self._xml_patience = frames_in(XML_SECONDS, interval_seconds)
        self.source = Source("nvidia_smi", self._stream_patience)
        self._refusals = refusals
        self.excess: str | None = None
        self._names = Names(MAX_NAMES, frames_in(NAMES_SECONDS, interval_seconds))
        self._parser = query_csv.Rows((), refusals)
        self._rows: dict[int, tuple[str, values.Reading]] = {}
        self._pass: set[int] = set()
        # Whether all GPUs that there are have been seen once.
        self._is_whole = False
        self._last_index = -1
        self._rows_frame = self._gpus_beyond = -self._stream_patience - 1
        self._said: list[str] = []
        self._apps_fields: Sequence[str] = ()
        self._apps: dict[tuple[str | None, int], compute_apps.App] = {}
        self._apps_frame = 0
        self._apps_stamp = ""
        self._apps_said: str | None = None
        self._apps_heard = False
        self._apps_beyond = 0
        self._owners: dict[int, owners.Owner] = {}
        self._xml: list[query_xml.XmlGpu] = []
        self._xml_frame = -self._xml_patience
        self._listed: dict[int, list[MigDevice]] = {}

    # What arrives. `frame` is the number of the last frame, the only clock here.

    def stream(self, payload: str, frame: int) -> None:
        """A line of the CSV stream, or what the program says about it."""
        kind, text = payload[:1], payload[1:]
        if kind == "?":
            fields = _fields(text)
            self._parser, self._said = query_csv.Rows(fields, self._refusals), []
            self._pass.clear()
            self._last_index = -1
        elif kind == " ":
            self._row(text, frame)
        elif kind == "-":
            self.source.missing(frame)
        elif kind == "!" and frame - self._rows_frame > 1:
            self.source.failed(frame, " ".join(self._said) or "nvidia-smi ended")

    def _row(self, line: str, frame: int) -> None:
        index = line.partition(",")[0]
        is_index = len(index) < 5 and index.isascii() and index.isdigit()
        known = self._rows.get(int(index)) if is_index else None
        # The same text is the same reading: idle GPUs repeat themselves.
        told = known[1] if known and known[0] == line else self._parser.parse(line)
        if told is None:
            self._sentence(line, frame)
            return
        if told.index >= MAX_GPUS:
            self._gpus_beyond = frame
            return
        if told.index <= self._last_index:
            # A new pass begins: a GPU that the finished one did not show is gone.
            self._is_whole = True
            self._rows = {i: row for i, row in self._rows.items() if i in self._pass}
            self._pass.clear()
        self._last_index = told.index
        self._pass.add(told.index)
        self._rows[told.index] = (line, told)
        self._rows_frame = frame
        self._said = []
        self.source.answered(frame, self._apps_said)

    def _sentence(self, line: str, frame: int) -> None:
        """What the tool prints instead of rows is its own explanation."""
        if line.strip() and len(self._said) < 8:
            self._said.append(line[:300])
        if self._said and frame - self._rows_frame > 1:
            self.source.failed(frame, " ".join(self._said))

    def apps(self, payload: str, frame: int) -> None:
        """A line of the compute processes' stream, or what the program says about it."""
        kind, text = payload[:1], payload[1:]
        if kind == "?":
            self._apps_fields = _fields(text)
            self._apps_said = None
            self._apps_heard = True
        elif kind == " " and text.strip():
            app = compute_apps.parse_row(text, self._apps_fields, self._refusals)
            if app is None:
                self._apps_said = f"compute processes: {text[:200]}"
            else:
                self._app(app, frame)

    def _app(self, app: compute_apps.App, frame: int) -> None:
        if app.timestamp != self._apps_stamp and frame > self._apps_frame:
            self._apps = {}
        if not self._apps:
            self._apps_frame, self._apps_beyond = frame, 0
        self._apps_stamp, self._apps_said = app.timestamp, None
        key = (app.process.gpu_uuid, app.process.pid)
        if key in self._apps or len(self._apps) < MAX_APPS:
            self._apps[key] = app
        else:
            self._apps_beyond += 1

    def owner(self, payload: str) -> None:
        """Who owns a process: ` pid user cgroups`."""
        told = owners.parse(payload[: owners.MAX_PAYLOAD].strip())
        if told is None:
            return
        if len(self._owners) >= MAX_OWNERS:
            self._owners.clear()
        self._owners[told[0]] = told[1]

    def listed(self, lines: list[str]) -> None:
        """The output of `nvidia-smi -L`."""
        self._listed = gpu_list.parse(lines)

    def xml(self, document: str, frame: int) -> str | None:
        """A document of `nvidia-smi -q -x`; a broken one leaves the last good one in place.

        Says why, if it was too large.
        """
        try:
            told = query_xml.parse(document, self._refusals)
        except query_xml.TooLarge as error:
            return f"nvidia-smi -q -x: {error}"
        except ValueError:
            return None
        self._xml, self._xml_frame = told[:MAX_GPUS], frame
        return None

    # What a frame takes.

    def gpus(self, frame: int, memory: Memory) -> tuple[Gpu, ...]:
        """All GPUs; one that no longer answers stays, without its live values."""
        rows = self._rows if self._is_shown(frame) else {}
        live = bool(rows) and frame - self._rows_frame <= self._stream_patience
        if live or (rows and not self._xml_is_fresh(frame)):
            readings = [row[1] for _, row in sorted(rows.items())]
            self._fill(readings)
        else:
            readings = [gpu.reading for gpu in self._xml]
            live = self._xml_is_fresh(frame)
            if live and not self.source.ok and self.source.detail != NOT_FOUND:
                self.source.answered(frame, self.source.detail)
        gpus = tuple(
            values.gpu_of(told, memory, self._mig(position, told, frame))
            for position, told in enumerate(readings)
        )
        return gpus if live else tuple(_without_live_values(gpu) for gpu in gpus)

    def _is_shown(self, frame: int) -> bool:
        """Whether the first pass has shown every GPU: a frame may come in its middle.

        It has when the next one began, when there are as many as the inventory knows, and when a
        whole interval brought no more.
        """
        if self._rows and (len(self._rows) == len(self._xml) or frame - self._rows_frame > 1):
            self._is_whole = True
        return self._is_whole

    def _fill(self, readings: list[values.Reading]) -> None:
        """Facts that this driver's CSV does not have, from the XML of the same card."""
        if len(self._xml) != len(readings):
            return
        for position, told in enumerate(readings):
            fact = self._xml[position].reading
            if told.uuid and fact.uuid and told.uuid != fact.uuid:
                continue
            mine = (told.uuid, told.name, told.power_limit_watts)
            others = (fact.uuid, fact.name, fact.power_limit_watts)
            pairs = list(zip(mine, others, strict=True))
            if any(own is None and other is not None for own, other in pairs):
                readings[position] = replace(
                    told,
                    uuid=told.uuid or fact.uuid,
                    name=told.name or fact.name,
                    power_limit_watts=told.power_limit_watts
                    if told.power_limit_watts is not None
                    else fact.power_limit_watts,
                )

    def _xml_is_fresh(self, frame: int) -> bool:
        return bool(self._xml) and frame - self._xml_frame <= self._xml_patience

    def _mig(self, position: int, told: values.Reading, frame: int) -> tuple[MigDevice, ...]:
        """The slices: `-L` names them, the XML says how much memory they use."""
        if told.mig_mode == "Disabled":
            return ()
        named = {device.index: device for device in self._listed.get(told.index, ())}
        if self._xml_is_fresh(frame) and position < len(self._xml):
            for device in self._xml[position].mig:
                name = named.get(device.index)
                named[device.index] = replace(
                    device,
                    uuid=name.uuid if name else device.uuid,
                    profile=name.profile if name else device.profile,
                )
        return tuple(named[index] for index in sorted(named))

    def processes(self, frame: int, containers: dict[str, str]) -> tuple[Process, ...]:
        """Compute processes with user and container name."""
        self.excess = self._too_many(0, frame)
        if not self._apps_heard or self._apps_said:
            if not self._xml_is_fresh(frame):
                return ()
            found = [process for gpu in self._xml for process in gpu.processes]
        elif frame - self._apps_frame > self._apps_patience:
            # The tool prints nothing at all once the last process has ended.
            self._apps = {}
            return ()
        else:
            found = [app.process for app in self._apps.values()]
        owned = tuple(self._owned(process, containers, frame) for process in found[:MAX_APPS])
        self.excess = self._too_many(len(found), frame)
        return owned

    def _owned(self, process: Process, containers: dict[str, str], frame: int) -> Process:
        owner = self._owners.get(process.pid)
        if owner is None:
            return process
        container = owner.container and docker_ps.name_of(owner.container, containers)
        if not self._names.take(f"{owner.user}\0{container}", frame):
            return process
        return replace(process, user=owner.user, container=container)

    def _too_many(self, found: int, frame: int) -> str | None:
        """What there is beyond the GPUs, processes, users and containers that are kept."""
        if frame - self._gpus_beyond <= self._stream_patience:
            return f"GPUs beyond the first {MAX_GPUS} are left out"
        every = found + self._apps_beyond
        if every > MAX_APPS:
            return f"{MAX_APPS} of {every} compute processes are kept"
        if self._names.refused:
            return (
                f"more than {MAX_NAMES} users and containers within an hour: "
                "new ones are counted as not known"
            )
        return None


def _fields(text: str) -> list[str]:
    """What a query asks for, as the program says it before the rows."""
    return text[: query_csv.MAX_LINE].split(",", query_csv.MAX_FIELDS)[: query_csv.MAX_FIELDS]


def _without_live_values(gpu: Gpu) -> Gpu:
    return replace(
        gpu,
        utilization_percent=None,
        # A unified GPU's memory is the machine's, which still answers.
        memory_used_bytes=gpu.memory_used_bytes if gpu.memory_kind == "unified" else None,
        temperature_c=None,
        power_watts=None,
        fan_percent=None,
        sm_clock_mhz=None,
        memory_clock_mhz=None,
        throttle_reasons=None,
    )
