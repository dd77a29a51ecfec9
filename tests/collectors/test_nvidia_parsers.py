"""nvidia-smi's formats, text in and values out; every capture against an independent reading."""

from pathlib import Path

import pytest

from metrics.collectors.nvidia import compute_apps, gpu_list, query_csv, query_xml
from metrics.collectors.nvidia import values as nvidia_values
from metrics.collectors.readings import Memory
from metrics.collectors.tokens import Refusals
from tests.collectors import expected
from tests.collectors.machine import CAPTURES, gpu_values

GIB = 2**30
XML = sorted(CAPTURES.glob("nvidia-smi-xml/*.xml"))
CSV = sorted(
    [
        *CAPTURES.glob("nvidia-smi-csv/*query-gpu-all*.csv"),
        *CAPTURES.glob("nvidia-smi-csv/*full.csv"),
    ]
)
MACHINE = Memory(total_bytes=121 * GIB, used_bytes=21 * GIB, available_bytes=100 * GIB)


def read_csv(path: Path) -> list[nvidia_values.Reading]:
    return list(query_csv.parse_file(path.read_text(), Refusals()))


def row(fields: str, line: str, refusals: Refusals | None = None) -> nvidia_values.Reading | None:
    return query_csv.Rows(fields.split(","), refusals or Refusals()).parse(line)


@pytest.mark.parametrize("path", XML, ids=lambda path: path.name)
def test_reads_an_xml_capture(path: Path) -> None:
    refusals = Refusals()
    gpus = query_xml.parse(path.read_text(), refusals)
    shown = [gpu_values(nvidia_values.gpu_of(gpu.reading, MACHINE, ())) for gpu in gpus]
    assert shown == expected.from_xml(path)
    assert refusals.count == 0


@pytest.mark.parametrize("path", CSV, ids=lambda path: path.name)
def test_reads_a_csv_capture(path: Path) -> None:
    shown = [gpu_values(nvidia_values.gpu_of(told, MACHINE, ())) for told in read_csv(path)]
    assert shown == expected.from_csv(path)


def test_finds_the_processes_that_compute() -> None:
    """Types C and C+G; not G alone."""
    path = CAPTURES / "nvidia-smi-xml/rtx-4000-sff-ada-595.xml"
    found = [p for gpu in query_xml.parse(path.read_text(), Refusals()) for p in gpu.processes]
    text = path.read_text()
    assert len(found) == text.count("<type>C</type>") + text.count("<type>C+G</type>") > 0
    assert (found[0].pid, found[0].name, found[0].memory_used_bytes) == (
        4937,
        "python",
        160 * 2**20,
    )


def test_finds_the_slices_of_a_mig_gpu() -> None:
    path = CAPTURES / "nvidia-smi-xml/a100-sxm4-80g-mig-535.xml"
    (gpu,) = query_xml.parse(path.read_text(), Refusals())
    assert gpu.reading.mig_mode == "Enabled"
    assert len(gpu.mig) == path.read_text().count("<mig_device>")
    assert [device.index for device in gpu.mig] == list(range(len(gpu.mig)))
    assert gpu.mig[0].memory_total_bytes == 19968 * 2**20
    assert gpu.mig[0].memory_used_bytes == 12 * 2**20


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "'
    + "&a;" * 10
    + '">]><nvidia_smi_log><gpu><uuid>&b;</uuid></gpu></nvidia_smi_log>'
)
OUTSIDE = (
    '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    "<nvidia_smi_log><gpu><uuid>&f;</uuid></gpu></nvidia_smi_log>"
)


@pytest.mark.parametrize(
    "document",
    ["", "<", "<nvidia_smi_log>", "NVIDIA-SMI has failed", "\x00", BOMB, OUTSIDE, "<a>" * 100_000],
    ids=["empty", "lt", "cut", "sentence", "nul", "bomb", "outside", "deep"],
)
def test_refuses_a_broken_or_hostile_document(document: str) -> None:
    with pytest.raises(ValueError, match="document"):
        query_xml.parse(document, Refusals())


def test_lists_mig_devices_by_their_number() -> None:
    lines = (CAPTURES / "nvidia-smi-list/h200-mig-linux-590.L.txt").read_text().splitlines()
    devices = gpu_list.parse(lines)[0]
    assert [(d.index, d.profile) for d in devices][:3] == [
        (0, "1c.3g.71gb"),
        (1, "2c.3g.71gb"),
        (2, "2g.35gb"),
    ]
    assert devices[4].uuid == "MIG-00000004-0000-0000-0000-000000000004"


@pytest.mark.parametrize(
    ("name", "pids"),
    [
        ("h100-linux-590.compute-apps.load", [11327, 11328, 11345]),
        ("h200-mig-linux-590.compute-apps.load", [12249, 12250, 12267]),
        ("rtx2080s-linux-595.compute-apps.load", [5268, 5267]),
        ("rtx2080s-linux-610.compute-apps.load", [28512, 28511]),
        ("h100-linux-590.compute-apps.idle", []),
    ],
)
def test_reads_compute_processes(name: str, pids: list[int]) -> None:
    lines = (CAPTURES / f"nvidia-smi-csv/{name}.csv").read_text().splitlines()
    fields = query_csv.header_fields(lines[0])
    apps = [compute_apps.parse_row(line, fields, Refusals()) for line in lines[1:] if line]
    assert [app.process.pid for app in apps if app] == pids
    assert all(app and app.process.memory_used_bytes for app in apps)


def test_reads_windows_processes_without_memory() -> None:
    path = CAPTURES / "nvidia-smi-csv/rtx2080s-windows-591.compute-apps.idle.csv"
    lines = path.read_text().splitlines()
    fields = query_csv.header_fields(lines[0])
    apps = [compute_apps.parse_row(line, fields, Refusals()) for line in lines[1:] if line]
    assert apps
    assert all(app and app.process.memory_used_bytes is None for app in apps)


def test_keeps_the_other_fields_of_a_lost_gpu() -> None:
    path = CAPTURES / "nvidia-smi-csv/single-gpu-lost.csv"
    last = read_csv(path)[-1]
    assert (last.utilization_percent, last.power_watts, last.temperature_c) == (95, 297.17, 65)
    assert (last.power_limit_watts, last.memory_used_bytes, last.fan_percent) == (None, None, None)
    assert last.throttle_reasons == ("sw_power_cap",)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gtx1080-rig.query-gpu", [(100.0, 217.24, 71.0), (100.0, 208.30, 71.0)]),
        ("gtx1080ti-1060.mixed", [(36.0, 106.56, 60.0), (0.0, 5.68, 49.0)]),
        ("rtx2080ti-windows.unknown-error", [(100.0, 228.82, 56.0)]),
    ],
)
def test_reads_a_partial_capture(name: str, values: list[tuple[float, float, float]]) -> None:
    told = read_csv(CAPTURES / f"nvidia-smi-csv/{name}.csv")
    assert [(t.utilization_percent, t.power_watts, t.temperature_c) for t in told] == values


def test_reads_the_transposed_capture() -> None:
    text = (CAPTURES / "nvidia-smi-csv/gtx1060-not-supported.transposed.txt").read_text()
    lines = text.splitlines()
    told = row(",".join(query_csv.header_fields(", ".join(lines[0::2]))), ", ".join(lines[1::2]))
    assert told is not None
    assert (told.name, told.fan_percent) == ("GeForce GTX 1060 6GB", 27)


@pytest.mark.parametrize("field", ["utilization.gpu", "power.draw", "memory.used"])
@pytest.mark.parametrize(
    "token",
    ["NaN", "inf", "-1", "1e308", str(2**64), "45,5", "٤٥", "4_5", "0x10", "a sentence of 9 words"],
)
def test_counts_and_drops_what_cannot_be(field: str, token: str) -> None:
    refusals = Refusals()
    rows = query_csv.Rows(["index", field], refusals)
    for _ in range(2):
        told = rows.parse(f"0, {token}")
        assert told is not None
        assert (told.utilization_percent, told.power_watts, told.memory_used_bytes) == (None,) * 3
    assert refusals.count == 2


def test_drops_a_percentage_above_one_hundred() -> None:
    refusals = Refusals()
    told = row("index,utilization.gpu", "0, 101", refusals)
    assert told is not None
    assert told.utilization_percent is None
    assert refusals.count == 1


@pytest.mark.parametrize(
    "token",
    [
        "[N/A]",
        "N/A",
        "Not Supported",
        "[Not Supported]",
        "[Unknown Error]",
        "ERR!",
        "[GPU is lost]",
        "[GPU requires reset]",
        "[Insufficient Permissions]",
        "[Requested functionality has been deprecated]",
        "",
    ],
)
def test_known_ways_to_report_nothing_are_silent(token: str) -> None:
    refusals = Refusals()
    told = row("index,temperature.gpu", f"0, {token}", refusals)
    assert told is not None
    assert told.temperature_c is None
    assert refusals.count == 0


def test_accepts_a_value_with_its_unit() -> None:
    told = row("index,utilization.gpu,power.draw,memory.used", "0, 45 %, 12.50 W, 7 MiB")
    assert told is not None
    assert (told.utilization_percent, told.power_watts) == (45, 12.5)
    assert told.memory_used_bytes == 7 * 2**20


@pytest.mark.parametrize("line", ["", "0", "x, 45", "-1, 45", "99999, 45", "No devices were found"])
def test_refuses_a_row_that_does_not_fit(line: str) -> None:
    assert row("index,utilization.gpu", line) is None


def test_name_may_hold_commas_quotes_and_markup() -> None:
    told = row("index,uuid,name", '0, GPU-1, Super, "GPU" <b>x</b>')
    assert told is not None
    assert told.name == 'Super, "GPU" <b>x</b>'


# Unified memory.

GB10 = "index,utilization.gpu,memory.used,memory.total,power.draw,power.limit,fan.speed"
GB10 += ",clocks.current.sm,clocks.current.memory,mig.mode.current"


@pytest.mark.parametrize(
    "total", ["[N/A]", "Not Supported", "[Not Supported]", "0", "123904", "119000"]
)
def test_gpu_in_the_machines_memory_is_unified(total: str) -> None:
    told = row(GB10, f"0, 12, [N/A], {total}, 10.11, [N/A], [N/A], 208, [N/A], [N/A]")
    assert told is not None
    gpu = nvidia_values.gpu_of(told, MACHINE, ())
    assert gpu.memory_kind == "unified"
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (21 * GIB, 121 * GIB)
    assert (gpu.power_limit_watts, gpu.fan_percent, gpu.memory_clock_mhz) == (None, None, None)


@pytest.mark.parametrize(
    "total", ["[Insufficient Permissions]", "[Unknown Error]", "ERR!", "[GPU is lost]", ""]
)
def test_memory_that_could_not_be_read_is_unknown(total: str) -> None:
    told = row(GB10, f"0, 12, {total}, {total}, 10.11, [N/A], [N/A], 208, [N/A], [N/A]")
    assert told is not None
    gpu = nvidia_values.gpu_of(told, MACHINE, ())
    assert (gpu.memory_kind, gpu.memory_used_bytes, gpu.memory_total_bytes) == (None, None, None)


def test_card_as_large_as_the_machine_is_no_unified_gpu() -> None:
    """A 24 GiB card in a 24 GiB machine."""
    path = CAPTURES / "nvidia-smi-xml/rtx-3090-525.xml"
    (gpu,) = query_xml.parse(path.read_text(), Refusals())
    machine = Memory(total_bytes=24 * GIB, used_bytes=GIB, available_bytes=23 * GIB)
    assert nvidia_values.gpu_of(gpu.reading, machine, ()).memory_kind == "dedicated"


def test_card_that_reports_no_memory_is_unknown() -> None:
    told = row(GB10, "0, 12, [N/A], [N/A], 200.00, 300.00, 30, 1900, 9501, Disabled")
    assert told is not None
    gpu = nvidia_values.gpu_of(told, MACHINE, ())
    assert (gpu.memory_kind, gpu.memory_total_bytes) == (None, None)


def test_unified_gpu_in_a_machine_that_reports_no_memory_is_unknown() -> None:
    told = row(GB10, "0, 12, [N/A], [N/A], 10.11, [N/A], [N/A], 208, [N/A], [N/A]")
    assert told is not None
    gpu = nvidia_values.gpu_of(told, Memory(), ())
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (None, None)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("gb10-marimo.noheader-nounits", "index,name,memory.total,memory.used,memory.free"),
        ("gb10-thinkstation-pgx.query", "name,compute_cap,driver_version,memory.total"),
    ],
)
def test_gb10_captures_are_unified(name: str, line: str) -> None:
    text = (CAPTURES / f"nvidia-smi-csv/{name}.csv").read_text().strip()
    told = row(line, text)
    assert told is not None
    assert told.name == "NVIDIA GB10"
    assert nvidia_values.gpu_of(told, MACHINE, ()).memory_kind == "unified"
