"""What a command line of `nvidia-smi` asks for."""

import time

from simulator.tools.tables import Row

_TAKES_ARGUMENT = ("-l", "-lms", "-i", "--loop", "--loop-ms", "--id")
_SHORT_NAMES = {"--help": "h", "--query": "q", "--xml-format": "x", "--list-gpus": "L"}


class Options:
    """What the command line asked for."""

    def __init__(self) -> None:
        self.query_gpu = ""
        self.query_apps = ""
        self.format: list[str] = []
        self.interval_seconds = 0.0
        self.devices = ""
        self.flags: set[str] = set()


def parse(arguments: list[str]) -> Options | None:
    """The options, or `None` for a combination that the tool refuses."""
    options, rest = Options(), list(arguments)
    while rest:
        name, _, value = rest.pop(0).partition("=")
        if name in _TAKES_ARGUMENT and not value:
            value = rest.pop(0) if rest else ""
        if not _take(options, name, value):
            return None
    return options


def _take(options: Options, name: str, value: str) -> bool:
    if name == "--query-gpu":
        options.query_gpu = value
    elif name in ("--query-compute-apps", "--query-gpu-apps"):
        options.query_apps = value
    elif name == "--format":
        options.format = [part.strip() for part in value.split(",")]
    elif name in ("-l", "--loop", "-lms", "--loop-ms"):
        if not value.isdigit():
            return False
        options.interval_seconds = int(value) / (1000 if name.endswith("ms") else 1)
    elif name in ("-i", "--id"):
        options.devices = value
    elif name in ("-q", "-x", "-L", "-h", *_SHORT_NAMES):
        options.flags.add(_SHORT_NAMES.get(name, name[1:]))
    elif name in ("--version", "-V"):
        options.flags.add("version")
    else:
        return False
    return True


def chosen(rows: list[Row], devices: str) -> list[Row]:
    """The rows of the devices that `-i` names by index, UUID or bus id; all without it."""
    if not devices:
        return rows
    wanted = set(devices.split(","))
    keys = ("index", "uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id")
    return [row for row in rows if wanted & {row.get(key, "") for key in keys}]


def timestamp() -> str:
    """Local time as the CSV prints it, to the millisecond."""
    now = time.time()
    text = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now))
    return f"{text}.{int(now * 1000) % 1000:03d}"
