"""Every parser of text from machines and jobs, each with examples of what it understands.

A parser takes a text and may refuse it with one of the errors that stand beside it; nothing else
comes out of it, and the time it takes grows no faster than the text. `tests/linear` walks the
modules and fails when one is not here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from connections.files import browse
from connections.ssh import host_keys
from core import cleaner
from core.errors import Invalid
from jobs import masking
from jobs.log import first_error, viewer
from jobs.log import store as log_store
from jobs.pages import container as pages_container
from jobs.remote import origin
from jobs.remote import protocol as remote_protocol
from jobs.tracking import ansi, better, curves
from jobs.tracking import parse as tracking_parse
from metrics.collectors import documents, framing, stream, tokens
from metrics.collectors.amd import amd_smi, json_output, rocm_smi
from metrics.collectors.linux import df, docker_ps, network, owners, power_supply, proc
from metrics.collectors.nvidia import compute_apps, gpu_list, query_csv, query_xml, throttle, values
from metrics.collectors.nvidia import feed as nvidia_feed
from metrics.collectors.tokens import Refusals
from projects import json_lines

MARKER = "0123456789abcdef" * 2
_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_JOB = "32fb7a69-890e-4074-83d8-8f3e15b8b28a"


@dataclass(frozen=True, slots=True)
class Parser:
    """`name` is that of the function or method; `raises` are its ways to refuse."""

    name: str
    read: Callable[[str], object]
    examples: Sequence[str]
    raises: tuple[type[Exception], ...] = ()


def _fresh(make: Callable[[], Any], method: str, *arguments: object) -> Callable[[str], object]:
    """Calls a method of an object that is made for the call."""
    return lambda text: getattr(make(), method)(text, *arguments)


def _bytes(read: Callable[[bytes], object]) -> Callable[[str], object]:
    return lambda text: read(text.encode("utf-8", "replace"))


def _short(clean: Callable[[str, int], object]) -> Callable[[str], object]:
    return lambda text: clean(text, 300)


def _lines(read: Callable[[list[str]], object]) -> Callable[[str], object]:
    return lambda text: read(text.split("\n"))


def _words(read: Callable[[list[str]], object]) -> Callable[[str], object]:
    return lambda text: read(text.split())


def _quiet() -> Refusals:
    """Refusals that say nothing: a bench of nonsense would fill the log."""
    return Refusals(seen={(str(number), "") for number in range(tokens.MAX_REMEMBERED)})


def _collector() -> stream.Collector:
    made = stream.Collector(MARKER)
    made.refusals.seen |= _quiet().seen
    return made


def _feed() -> nvidia_feed.NvidiaFeed:
    return nvidia_feed.NvidiaFeed(_quiet(), 2.0)


def _feed_by_line(method: str) -> Callable[[str], object]:
    """Each line of the text is a payload of its own, as the program sends it."""

    def read(text: str) -> None:
        feed = _feed()
        for line in text.split("\n"):
            getattr(feed, method)(line, 1)

    return read


def _feed_listed(text: str) -> None:
    _feed().listed(text.split("\n"))


def _feed_owner(text: str) -> None:
    feed = _feed()
    for line in text.split("\n"):
        feed.owner(line)


def _stream(text: str) -> object:
    return _collector().feed(text.encode("utf-8", "replace"), _NOW, 0.0)


def _framing(text: str) -> object:
    return list(framing.Framing(MARKER).feed(text.encode("utf-8", "replace")))


def _framing_in_portions(text: str) -> None:
    """As packets bring it."""
    data, split = text.encode("utf-8", "replace"), framing.Framing(MARKER)
    for start in range(0, len(data), 97):
        list(split.feed(data[start : start + 97]))


def _networks(text: str) -> object:
    feed = network.NetworkFeed(2.0)
    feed.port("mlx5_0/1 eth0 Ethernet")
    return feed.networks(text, 1.0)


def _apps(text: str) -> object:
    refusals = _quiet()
    return [compute_apps.parse_row(row, _APP_FIELDS, refusals) for row in text.split("\n")]


def _csv_rows(text: str) -> object:
    rows = query_csv.Rows(query_csv.GPU_FIELDS, _quiet())
    return [rows.parse(line) for line in text.split("\n")]


def _tree(text: str) -> object:
    return [block.at("clocks/sm_clock") for block in query_xml.blocks(text)]


def _masked(text: str) -> object:
    """The text in a log, and parts of it as secrets: the worst is the one that overlaps itself."""
    data = text.encode("utf-8", "replace")
    secrets = [data[: 32 * 1024], data[-32 * 1024 :], data[:4096] + b"x", data[:16], data[:8]]
    return masking.mask(data, [one for one in secrets if len(one) >= 4], is_end=False)


def _curves(text: str) -> object:
    return curves.Curves().read(text.encode("utf-8", "replace"), 0, [(0, 1)], is_end=True)


def _capture(name: str) -> tuple[str, ...]:
    """A real output among the tests' captures, shortened; nothing where there are no tests."""
    folder = Path(__file__).resolve().parent.parent / "tests" / "captures" / name
    files = sorted(path for path in folder.glob("*") if path.is_file())
    return tuple(path.read_text("utf-8", "replace")[:4000] for path in files[:1])


_FRAME = (
    f"{MARKER}S 1\n{MARKER}F 1\r12.5 8.1\r0.1 0.2 0.3 1/2 3\rcpu  1 2 3 4 5\rcpu0 1 2 3 4 5\r"
    "MemTotal: 8 kB\rInter-|\r face |\r  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\r"
    "=P 1, t1, GPU-1, 5, a\rE 1\n"
)
_DOCUMENTS = "".join(
    f"{MARKER}{tag} {line}\n"
    for tag, line in (
        ("G?", "index,uuid,name"),
        ("G", "0, GPU-1, A100"),
        ("P?", "pid,timestamp,gpu_uuid,used_gpu_memory,process_name"),
        ("P", "1, t1, GPU-1, 5, a"),
        ("U", "1 anna 0::/docker/" + "a" * 64),
        ("X", "<nvidia_smi_log><gpu><uuid>GPU-1</uuid></gpu></nvidia_smi_log>"),
        ("X.", "0"),
        ("D", "/dev/sda1 100 50 50 50% /"),
        ("D.", "0"),
        ("C", '{"ID":"a","Names":"web"}'),
        ("C.", "0"),
        ("Q", "POWER_SUPPLY_NAME=BAT0"),
        ("Q.", "0"),
        ("K", "cpu MHz : 2500.0 2600.0"),
        ("K.", "0"),
        ("N", "eth0 eth1"),
        ("T", "eth0 100"),
        ("I", "mlx5_0/1 eth0 Ethernet"),
    )
)
_NET_DEV = (
    "12.5 8.1\n0.10 0.20 0.30 1/234 5678\ncpu  1 2 3 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8\n"
    "MemTotal:       8000 kB\nMemAvailable:   4000 kB\nSwapTotal: 1 kB\nSwapFree: 1 kB\n"
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nInter-|   Receive\n face |bytes\n"
    "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    "/sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data:25\n"
)
_XML = (
    '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n'
    '<nvidia_smi_log><gpu id="0"><product_name>A100</product_name><uuid>GPU-1</uuid>'
    "<mig_devices><mig_device><index>0</index></mig_device></mig_devices>"
    "<processes><process_info><pid>1</pid><type>C</type></process_info></processes>"
    "<clocks><sm_clock>1 MHz</sm_clock></clocks></gpu></nvidia_smi_log>"
)
_LIST = "GPU 0: NVIDIA A100 (UUID: GPU-513536b6)\n  MIG 2g.20gb     Device  0: (UUID: MIG-a)\n"
_DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 50 50 50% /data x\n"
_DOCKER = '{"Command":"sh","ID":"abc","Labels":"a=1,b=2","Names":"web,other"}\n'
_BATTERY = "POWER_SUPPLY_NAME=BAT0\nPOWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_CAPACITY=57\n"
_AMD = '[{"gpu": 0, "usage": {"gfx_activity": {"value": 5, "unit": "%"}}}]'
_ROCM = 'WARNING: x\n{"card0": {"GPU use (%)": "5", "Card Series": "MI300"}}'
_CGROUPS = f"17 anna |0::/system.slice/docker-{'ab' * 32}.scope|1:cpu:/lxc.payload.web/init"
_LOG = (
    "step=100 loss=0.51 lr=1e-4\n",
    "{'loss': 0.5, 'grad_norm': nan, 'path': 'a\\'b', 'epoch': 0.1, 'n': (1, None)}\n",
    '{"step": 3, "train": {"loss": 0.25, "text": "0.5"}, "list": [1, 2]}\n',
    "│         test_acc          │    0.9811000227928162     │\n",
    "Epoch 2:  45%|####5     | 45/100 [00:30<00:36, 15.01it/s, v_num=0, train_loss=0.512]\n",
    "\x1b[32mloss=1_000\x1b[0m \x1b]0;title\x07 RuntimeError: CUDA out of memory\r\n",
)
_ORIGIN = (
    "host a\ncommit 0123456789abcdef0123456789abcdef01234567\nchanged_files 3\n"
    "remote https://user:word@git.example.org:8080/a/b.git?x#y\npython 3.12\npackage a==1.0\n"
)
_REPORT = (
    f"noise\n{MARKER} B boot-id 1700000000\n"
    f"{MARKER} J {_JOB} 1 1 1 17 99 boot 1699999990 - - - - 5 5\nhello\n"
    f"{MARKER} P 17 {_JOB}\n{MARKER} O {_JOB} 6\nhost a\n{MARKER} E\n"
)
_INSPECT = (
    '{"Status":"running","ExitCode":0,"StartedAt":"2026-01-02T03:04:05Z",'
    '"FinishedAt":"0001-01-01T00:00:00Z"}\n{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}]}\n'
    '"abc"\n"sha256:abc"'
)
_ROW = "0, GPU-1, 50, 10, 100, 40, 60.5, 61, 250, 30, 1410, 1215, Disabled, 0x4, NVIDIA A100, x"
_APP = "17, t1, GPU-1, 5, /usr/bin/python, x"
_APP_FIELDS = compute_apps.FIELDS
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGV4YW1wbGU comment"

_C = "metrics.collectors."
PARSERS: tuple[Parser, ...] = (
    Parser(_C + "amd.json_output.load_json", json_output.load_json, [_AMD, _ROCM], (ValueError,)),
    Parser(
        _C + "amd.amd_smi.parse", lambda t: amd_smi.parse(t, t, _quiet()), [_AMD], (ValueError,)
    ),
    Parser(
        _C + "nvidia.compute_apps.parse_row",
        _apps,
        [_APP],
    ),
    Parser(_C + "linux.df.parse", _lines(df.parse), [_DF, *_capture("df")]),
    Parser(_C + "linux.docker_ps.parse", _lines(docker_ps.parse), [_DOCKER]),
    Parser(_C + "linux.docker_ps.name_of", lambda t: docker_ps.name_of(t, {}), ["a" * 64]),
    Parser(
        _C + "documents.Documents.add", lambda t: documents.Documents().add("X", t), ["<a/>", "é"]
    ),
    Parser(_C + "documents.lines", documents.lines, ["a\nb\n"]),
    Parser(_C + "framing.Framing.feed", _framing, [_FRAME, MARKER, f"{MARKER}F 1\r"]),
    Parser(_C + "framing.Framing.feed", _framing_in_portions, [_FRAME, MARKER]),
    Parser(
        _C + "linux.network.NetworkFeed.hardware",
        _words(network.NetworkFeed(2.0).hardware),
        ["eth0 eth1 wlan0"],
    ),
    Parser(
        _C + "linux.network.NetworkFeed.default_routes",
        _words(network.NetworkFeed(2.0).default_routes),
        ["eth0 100 wlan0 600"],
    ),
    Parser(
        _C + "linux.network.NetworkFeed.port",
        network.NetworkFeed(2.0).port,
        ["mlx5_0/1 e Ethernet"],
    ),
    Parser(_C + "linux.network.NetworkFeed.networks", _networks, [_NET_DEV]),
    Parser(_C + "linux.network.preferred", _words(network.preferred), ["eth0 100 wlan0 600"]),
    Parser(_C + "nvidia.values.text", values.text, ["NVIDIA A100", "[N/A]"]),
    Parser(_C + "nvidia.query_csv.Rows.parse", _csv_rows, [_ROW]),
    Parser(_C + "nvidia.query_csv.split_row", lambda t: query_csv.split_row(t, 15), [_ROW]),
    Parser(
        _C + "nvidia.query_csv.parse_file",
        lambda t: list(query_csv.parse_file(t, _quiet())),
        ["index, name, power.draw [W]\n0, A100, 50.0 W\n"],
    ),
    Parser(
        _C + "nvidia.query_csv.header_fields",
        query_csv.header_fields,
        ["index, power.draw [W], x [Deprecated; use y]"],
    ),
    Parser(
        _C + "nvidia.feed.NvidiaFeed.stream", _feed_by_line("stream"), [f"?index,name\n {_ROW}"]
    ),
    Parser(
        _C + "nvidia.feed.NvidiaFeed.apps",
        _feed_by_line("apps"),
        [f"?{','.join(_APP_FIELDS)}\n {_APP}"],
    ),
    Parser(_C + "nvidia.feed.NvidiaFeed.owner", _feed_owner, [_CGROUPS]),
    Parser(_C + "nvidia.feed.NvidiaFeed.listed", _feed_listed, [_LIST]),
    Parser(_C + "nvidia.feed.NvidiaFeed.xml", lambda t: _feed().xml(t, 1), [_XML]),
    Parser(_C + "nvidia.gpu_list.parse", _lines(gpu_list.parse), [_LIST]),
    Parser(
        _C + "nvidia.query_xml.parse",
        lambda t: query_xml.parse(t, _quiet()),
        [_XML, *_capture("nvidia-smi-xml")],
        (ValueError,),
    ),
    Parser(_C + "nvidia.query_xml.blocks", _tree, [_XML], (ValueError,)),
    Parser(
        _C + "linux.owners.parse", _lines(lambda rows: [owners.parse(r) for r in rows]), [_CGROUPS]
    ),
    Parser(_C + "linux.owners.container", owners.container, [_CGROUPS]),
    Parser(_C + "linux.power_supply.parse", _lines(power_supply.parse), [_BATTERY]),
    Parser(
        _C + "linux.power_supply.supplies",
        _lines(lambda rows: list(power_supply.supplies(rows))),
        [_BATTERY],
    ),
    Parser(_C + "linux.proc.uptime", proc.uptime, [_NET_DEV]),
    Parser(_C + "linux.proc.load_1m", proc.load_1m, [_NET_DEV]),
    Parser(_C + "linux.proc.cpu_times", proc.cpu_times, [_NET_DEV]),
    Parser(_C + "linux.proc.cores", proc.cores, [_NET_DEV]),
    Parser(_C + "linux.proc.memory", proc.memory, [_NET_DEV]),
    Parser(_C + "linux.proc.pressure_percent", proc.pressure_percent, [_NET_DEV]),
    Parser(_C + "linux.proc.networks", proc.networks, [_NET_DEV]),
    Parser(_C + "linux.proc.interfaces", proc.interfaces, [_NET_DEV]),
    Parser(
        _C + "amd.rocm_smi.parse", lambda t: rocm_smi.parse(t, _quiet()), [_ROCM], (ValueError,)
    ),
    Parser(_C + "stream.Collector.feed", _stream, [_FRAME, _DOCUMENTS]),
    Parser(_C + "nvidia.throttle.from_token", throttle.from_token, ["0x0000000000000004"]),
    Parser(
        _C + "tokens.number",
        lambda t: tokens.number(t, tokens.WATTS, "power", _quiet()),
        ["61.5 W", "[N/A]"],
    ),
    Parser(
        _C + "tokens.whole",
        lambda t: tokens.whole(t, tokens.MEBIBYTES, "used", _quiet()),
        ["512 MiB"],
    ),
    Parser(_C + "tokens.words", tokens.words, ["NVIDIA-SMI has failed because …"]),
    Parser("jobs.tracking.better.of_name", better.of_name, ["trainLoss", "eval/top5_acc"]),
    Parser("jobs.pages.container.parse", pages_container.parse, [_INSPECT]),
    Parser("jobs.tracking.curves.Curves.read", _curves, _LOG),
    Parser("jobs.tracking.ansi.strip", ansi.strip, _LOG),
    Parser(
        "jobs.log.first_error.of_lines",
        _lines(partial(first_error.of_lines, first=1)),
        [*_LOG, "Traceback\n  File x\nValueError: y\n"],
    ),
    Parser("jobs.log.viewer.shown", _bytes(viewer.shown), _LOG),
    Parser("jobs.log.store.whole_characters", _bytes(log_store.whole_characters), _LOG),
    Parser("jobs.masking.is_secret", masking.is_secret, ["API_KEY"]),
    Parser("jobs.masking.mask", _masked, ["hunter2 hunter2", "abababab", *_LOG]),
    Parser(
        "jobs.masking.mask_values",
        lambda t: masking.mask_values({t[:100]: [t]}, [t[: 32 * 1024].encode(), b"aaaa"]),
        ["api_key"],
    ),
    Parser("jobs.remote.origin.parse", _bytes(origin.parse), [_ORIGIN]),
    Parser(
        "jobs.remote.protocol.parse",
        _bytes(lambda data: remote_protocol.parse(data, MARKER)),
        [_REPORT],
        (remote_protocol.Unreadable,),
    ),
    Parser(
        "jobs.tracking.parse.of_line",
        lambda t: [tracking_parse.of_line(t[at : at + 16_384]) for at in range(0, len(t), 16_384)],
        _LOG,
    ),
    Parser(
        "jobs.tracking.parse.of_line",
        _lines(lambda rows: [tracking_parse.of_line(r) for r in rows]),
        _LOG,
    ),
    Parser("connections.files.browse.shown", _bytes(browse.shown), ["folder/ä\x00"]),
    Parser("connections.ssh.host_keys.parse", host_keys.parse, [_KEY, "SHA256:x"], (Invalid,)),
    Parser("core.cleaner.line", _short(cleaner.line), ["what a machine said\x00"]),
    Parser("core.cleaner.words", _short(cleaner.words), ["what  a machine said\x00"]),
    Parser("core.cleaner.text", _short(cleaner.text), ["what a machine\r\nsaid\x00"]),
    Parser("projects.json_lines.read", json_lines.read, ['{"a": [1, 2.5e3, "x\\n", true]}\n']),
)
