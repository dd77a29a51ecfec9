#!/usr/bin/env python3
"""A fake `nvidia-smi` that plays one capture and answers any query from it.

It reads `nvidia-smi.json` beside the name it is called by: {"capture": FILE (.xml or .csv),
"compute_apps": FILE?, "list": FILE?, "says": TEXT?, "status": N?, "hangs": BOOL?,
"refuses": [FIELD…]?}. A piece that the capture lacks fails, as an absent feature does. Every call
is noted in `nvidia-smi.calls` beside it. It shares no line with the collectors that it tests.
"""

import csv
import io
import json
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

Row = dict[str, str]
ELEMENTS = {
    "uuid": "uuid",
    "name": "product_name",
    "utilization.gpu": "utilization/gpu_util",
    "memory.used": "fb_memory_usage/used",
    "memory.total": "fb_memory_usage/total",
    "temperature.gpu": "temperature/gpu_temp",
    "fan.speed": "fan_speed",
    "clocks.current.sm": "clocks/sm_clock",
    "clocks.current.memory": "clocks/mem_clock",
    "pci.bus_id": "pci/pci_bus_id",
}
BITS = {
    "gpu_idle": 1,
    "applications_clocks_setting": 2,
    "sw_power_cap": 4,
    "hw_slowdown": 8,
    "sync_boost": 16,
    "sw_thermal_slowdown": 32,
    "hw_thermal_slowdown": 64,
    "hw_power_brake_slowdown": 128,
    "display_clocks_setting": 256,
}
ALIASES = {"clocks.sm": "clocks.current.sm", "clocks.mem": "clocks.current.memory"}


def main() -> int:
    """Play the call; the exit statuses are the genuine ones."""
    beside = Path(sys.argv[0]).with_name("nvidia-smi.json")
    play = json.loads(beside.read_text())
    with beside.with_suffix(".calls").open("a") as calls:
        calls.write(" ".join(sys.argv[1:]) + "\n")
    while play.get("hangs"):
        time.sleep(60)
    if play.get("says"):
        print(play["says"])
        return int(play.get("status", 9))
    options = parse_options(sys.argv[1:])
    while True:
        status = answer(options, play)
        sys.stdout.flush()
        if status or "every" not in options:
            return status
        time.sleep(options["every"])


def parse_options(arguments: list[str]) -> dict[str, Any]:
    """The documented options, in any order, with "=" or the value as the next argument."""
    options: dict[str, Any] = {}
    left = list(arguments)
    while left:
        name, equals, value = left.pop(0).partition("=")
        if name in ("-lms", "--loop-ms"):
            options["every"] = int(value if equals else left.pop(0)) / 1000
        elif name in ("-l", "--loop"):
            options["every"] = int(value if equals else left.pop(0))
        elif name in ("--query-gpu", "--query-compute-apps", "--format"):
            options[name] = value.split(",")
        elif name in ("-q", "-x", "-L", "--query", "--xml-format", "--list-gpus"):
            options[name] = True
        else:
            print(f"Invalid combination of input arguments. Please run 'nvidia-smi -h' ({name})")
            sys.exit(2)
    return options


def answer(options: dict[str, Any], play: dict[str, Any]) -> int:
    """Print one answer."""
    if "--query-gpu" in options:
        return table(gpu_rows(play), "--query-gpu", options, play)
    if "--query-compute-apps" in options:
        return table(app_rows(play), "--query-compute-apps", options, play)
    if "-L" in options:
        return show(play.get("list"))
    return show(play["capture"] if play["capture"].endswith(".xml") else None)


def show(path: str | None) -> int:
    """Print a file as it is."""
    if path is None:
        print("This fake has no such capture")
        return 3
    print(Path(path).read_text().rstrip("\n"))
    return 0


def table(rows: list[Row] | None, query: str, options: dict[str, Any], play: Any) -> int:
    """Print rows of a CSV query; the first unknown field is refused as the genuine tool does."""
    if rows is None:
        return show(None)
    known = set(rows[0]) if rows else set()
    for field in options[query]:
        asked = ALIASES.get(field, field)
        if (rows and asked not in known) or field in play.get("refuses", ()):
            print(f'Field "{field}" is not a valid field to query.\n')
            return 2
    style = options["--format"]
    if "noheader" not in style and not options.get("headed"):
        print(", ".join(options[query]))
        options["headed"] = True
    for row in rows:
        values = [row[ALIASES.get(field, field)] for field in options[query]]
        print(", ".join(bare(value) if "nounits" in style else value for value in values))
    return 0


def bare(value: str) -> str:
    """A value without its unit."""
    number, _, unit = value.partition(" ")
    return number if unit in ("%", "MiB", "W", "MHz", "us", "ms", "C") else value


def gpu_rows(play: dict[str, Any]) -> list[Row]:
    """Every GPU: query name → value with its unit."""
    path = Path(play["capture"])
    if path.suffix == ".csv":
        return csv_rows(path)
    blocks = ET.parse(path).getroot().findall("gpu")
    return [xml_row(block, index) for index, block in enumerate(blocks)]


def csv_rows(path: Path) -> list[Row]:
    """The rows of a capture with a header; units stay in the values."""
    lines = list(csv.reader(io.StringIO(path.read_text()), skipinitialspace=True))
    header = [name.split(" [")[0] for name in lines[0]]
    rows = [dict(zip(header, line, strict=True)) for line in lines[1:] if line]
    for row in rows:
        # Drivers that know the new names still answer to the old ones.
        for name in [name for name in row if name.startswith("clocks_event_reasons.")]:
            row[name.replace("_event_", "_throttle_")] = row[name]
    return rows


def xml_row(block: ET.Element, index: int) -> Row:
    """One `<gpu>` block as the query would print it."""
    row = {name: value_of(block, path) for name, path in ELEMENTS.items()}
    row["index"] = str(index)
    row["temperature.gpu"] = row["temperature.gpu"].removesuffix(" C")
    readings = block.find("gpu_power_readings")
    if readings is None:
        readings = block.find("power_readings")
    power: dict[str, str] = {}
    for child in readings if readings is not None else ():
        power[child.tag] = bracketed((child.text or "").strip())
    average = power.get("average_power_draw", power.get("power_draw", "[N/A]"))
    row["power.draw"] = average if average != "[N/A]" else power.get("instant_power_draw", "[N/A]")
    if "instant_power_draw" in power:
        row["power.draw.instant"] = power["instant_power_draw"]
    row["power.limit"] = power.get("current_power_limit", power.get("power_limit", "[N/A]"))
    if block.find("mig_mode") is not None:
        row["mig.mode.current"] = value_of(block, "mig_mode/current_mig")
    for era in ("event", "throttle"):
        if block.find(f"clocks_{era}_reasons") is not None:
            reasons(block, era, row)
    return row


def reasons(block: ET.Element, era: str, row: Row) -> None:
    """The reasons under the name of the driver's era; newer drivers answer to both."""
    prefixes = ["clocks_throttle_reasons."] + (["clocks_event_reasons."] if era == "event" else [])
    states = {
        name: value_of(block, f"clocks_{era}_reasons/clocks_{era}_reason_{name}") for name in BITS
    }
    told = any(state != "[N/A]" for state in states.values())
    mask = sum(BITS[name] for name, state in states.items() if state == "Active")
    for prefix in prefixes:
        row[prefix + "active"] = f"0x{mask:016X}" if told else "[N/A]"
        row.update({prefix + name: states[name] for name in BITS if name[:8] != "display_"})


def value_of(block: ET.Element, path: str) -> str:
    """The text of an element in the CSV's spelling."""
    return bracketed((block.findtext(path) or "").strip())


def bracketed(text: str) -> str:
    """ "N/A" and sentences stand in brackets in CSV."""
    if not text or text == "N/A":
        return "[N/A]"
    return f"[{text}]" if text[:1].isalpha() and text.startswith(("Requested", "Unk")) else text


def app_rows(play: dict[str, Any]) -> list[Row] | None:
    """Every compute process: query name → value."""
    if play.get("compute_apps"):
        return csv_rows(Path(play["compute_apps"]))
    if not play["capture"].endswith(".xml"):
        return None
    rows = []
    for block in ET.parse(play["capture"]).getroot().findall("gpu"):
        for process in block.iterfind("processes/process_info"):
            if "C" in (process.findtext("type") or ""):
                rows.append(
                    {
                        "timestamp": "2026/01/02 03:04:05.006",
                        "gpu_uuid": value_of(block, "uuid"),
                        "pid": value_of(process, "pid"),
                        "process_name": value_of(process, "process_name"),
                        "used_gpu_memory": value_of(process, "used_memory"),
                    }
                )
    return rows


if __name__ == "__main__":
    sys.exit(main())
