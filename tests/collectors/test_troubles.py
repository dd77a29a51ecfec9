"""Machines whose tools are missing, refuse, hang, fail or change, under the real program."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from metrics.collectors.readings import Sample
from tests.collectors.machine import CAPTURES, Machine, health, is_complete

SENTENCES = (
    "driver-not-running",
    "version-mismatch-old",
    "version-mismatch-550",
    "no-devices",
    "lost-gpu-table",
    "unknown-error",
)
XML = "nvidia-smi-xml/rtx-3060-570.xml"
EVENT_FIELDS = [
    f"clocks_event_reasons.{name}"
    for name in (
        "active",
        "sw_power_cap",
        "hw_slowdown",
        "hw_thermal_slowdown",
        "sw_thermal_slowdown",
        "hw_power_brake_slowdown",
        "sync_boost",
        "applications_clocks_setting",
    )
]


def hardware_is_there(sample: Sample) -> bool:
    """What does not come from nvidia-smi."""
    return bool(sample.memory.total_bytes and sample.networks and sample.disks)


def test_tells_missing_tools(any_machine: Machine) -> None:
    any_machine.start()
    sample = any_machine.until(is_complete)
    assert hardware_is_there(sample)
    assert health(sample, "nvidia_smi").detail == "not found"
    assert health(sample, "rocm").detail == "not found"
    assert sample.gpus == ()


@pytest.mark.parametrize("name", SENTENCES)
def test_tells_the_tools_own_words(machine: Machine, name: str) -> None:
    said = (CAPTURES / "errors" / f"{name}.txt").read_text().strip()
    machine.play(XML, says=said, status=9)
    machine.start()
    sample = machine.until(
        lambda sample: is_complete(sample) and health(sample, "nvidia_smi").detail is not None
    )
    assert not health(sample, "nvidia_smi").ok
    assert health(sample, "nvidia_smi").detail == " ".join(said.split())
    assert hardware_is_there(sample)


def test_goes_on_while_nvidia_smi_hangs(machine: Machine) -> None:
    machine.interval_seconds = 0.5
    machine.__post_init__()
    machine.play(XML, hangs=True)
    machine.start()
    sample = machine.until(
        lambda sample: health(sample, "nvidia_smi").detail == "no answer", within=30
    )
    assert hardware_is_there(sample)


@pytest.mark.parametrize(
    ("refused", "missing"),
    [
        (["power.draw.instant", "mig.mode.current"], set()),
        (["clocks_event_reasons.active"], set()),
        (EVENT_FIELDS, set()),
        (["clocks_event_reasons.active", "clocks_throttle_reasons.active"], set()),
        (["fan.speed", "utilization.gpu"], {"fan_percent", "utilization_percent"}),
        (["power.limit", "enforced.power.limit"], set()),
    ],
    ids=["new fields", "event mask", "event names", "masks", "live fields", "limit"],
)
def test_does_without_refused_fields(
    any_machine: Machine, refused: list[str], missing: set[str]
) -> None:
    """A refused field is null; the limit is a fact and comes from the XML instead."""
    any_machine.play(
        "nvidia-smi-xml/rtx-2080ti-x2-410.xml" if not missing else XML, refuses=refused
    )
    any_machine.start()
    # The stream itself has to have spoken, not only the XML.
    sample = any_machine.until(lambda sample: b"G 0, GPU-" in any_machine.raw)
    sample = any_machine.until(lambda sample: True)
    gpu = sample.gpus[-1].as_dict()
    absent = {name for name, value in gpu.items() if value is None}
    assert absent == missing
    assert gpu["throttle_reasons"] == ([] if missing else ["sw_power_cap"])


def test_names_mig_slices_as_the_list_does(machine: Machine) -> None:
    machine.play(
        "nvidia-smi-csv/h200-mig-linux-590.query-gpu-all.load.csv",
        list="nvidia-smi-list/h200-mig-linux-590.L.txt",
        compute_apps="nvidia-smi-csv/h200-mig-linux-590.compute-apps.load.csv",
    )
    machine.start()
    sample = machine.until(lambda sample: bool(sample.gpus and sample.gpus[0].mig))
    assert [(device.index, device.profile) for device in sample.gpus[0].mig] == [
        (0, "1c.3g.71gb"),
        (1, "2c.3g.71gb"),
        (2, "2g.35gb"),
        (3, "1g.18gb"),
        (4, "1g.18gb"),
    ]
    assert sample.gpus[0].utilization_percent is None
    sample = machine.until(lambda sample: bool(sample.processes))
    assert [(p.pid, p.name, p.memory_used_bytes) for p in sample.processes] == [
        (12249, "/root/tools/memhog", 2194 * 2**20),
        (12250, "/root/tools/memhog", 1170 * 2**20),
        (12267, "./gpu_burn", 13526 * 2**20),
    ]


def test_reads_the_memory_of_mig_slices_again_and_again(machine: Machine) -> None:
    machine.play("nvidia-smi-xml/a100-sxm4-80g-mig-535.xml")
    machine.start()
    sample = machine.until(lambda sample: bool(sample.gpus and sample.gpus[0].mig))
    assert {device.memory_total_bytes for device in sample.gpus[0].mig} == {19968 * 2**20}
    machine.until(lambda sample: any("-l 1" in call for call in machine.calls()))


def test_tells_who_computes_and_in_which_container(machine: Machine, tmp_path: Path) -> None:
    """One process is this test's own, the other one never existed."""
    apps = tmp_path / "apps.csv"
    stamp = "2026/01/02 03:04:05.006"
    apps.write_text(
        "timestamp, gpu_uuid, pid, process_name, used_gpu_memory [MiB]\n"
        f"{stamp}, GPU-0, {os.getpid()}, train.py, 100 MiB\n"
        f"{stamp}, GPU-0, 999999999, gone, [N/A]\n"
    )
    machine.play("nvidia-smi-csv/h100-linux-590.query-gpu-all.load.csv", compute_apps=str(apps))
    machine.start()
    sample = machine.until(lambda sample: any(p.user for p in sample.processes))
    mine, gone = sample.processes
    assert (mine.pid, mine.user) == (os.getpid(), psutil.Process().username())
    assert mine.memory_used_bytes == 100 * 2**20
    assert (gone.user, gone.container, gone.memory_used_bytes) == (None, None, None)


def test_starts_nvidia_smi_again_when_it_ended(machine: Machine) -> None:
    machine.play(XML)
    machine.start()
    machine.until(lambda sample: bool(sample.gpus))
    before = len([call for call in machine.calls() if "--query-gpu" in call])
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        if str(machine.bin / "nvidia-smi") in words and any("--query-gpu" in w for w in words):
            process.send_signal(signal.SIGKILL)
    machine.until(lambda sample: len([c for c in machine.calls() if "--query-gpu" in c]) > before)


def test_df_that_hangs_costs_the_disks_alone(machine: Machine) -> None:
    machine.install("df", "#!/bin/sh\nexec sleep 100\n")
    machine.play(XML)
    machine.start()
    sample = machine.until(lambda sample: bool(sample.gpus))
    assert sample.disks == ()
    assert sample.memory.total_bytes
    assert sample.networks


def test_docker_that_refuses_says_so(machine: Machine) -> None:
    words = "permission denied while trying to connect to the Docker daemon socket"
    machine.install("docker", f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    machine.start()
    sample = machine.until(is_complete)
    assert health(sample, "docker") == type(sample.health[0])("docker", False, words)


@pytest.mark.parametrize("capture", ["rx6700xt-rocm430", "rx6700xt-rocm612", "rx7900xt"])
def test_reports_amd_gpus(any_machine: Machine, capture: str) -> None:
    path = CAPTURES / "rocm-smi" / f"{capture}.json"
    any_machine.install("rocm-smi", f"#!/bin/sh\necho 'WARNING: careful'\ncat {path}\n")
    any_machine.start()
    sample = any_machine.until(lambda sample: bool(sample.gpus))
    assert health(sample, "rocm").ok
    assert sample.gpus[0].memory_total_bytes in (12868124672, 21458059264)


def test_garbage_of_a_tool_costs_that_tool_alone(machine: Machine) -> None:
    """A long line without an end, escape sequences and invalid UTF-8 from each tool."""
    garbage = (
        f"#!{sys.executable} -SE\nimport sys\n"
        "sys.stdout.buffer.write(b'\\xff\\xfe\\x1b]52;c;AAAA\\x07\\r' * 10 + b'A' * 300_000)\n"
    )
    for name in ("nvidia-smi", "docker", "df", "rocm-smi"):
        machine.install(name, garbage)
    machine.start()
    sample = machine.until(
        lambda sample: health(sample, "docker").detail is not None and is_complete(sample),
        within=60,
    )
    assert not health(sample, "docker").ok
    assert not health(sample, "disks").ok
    assert sample.memory.total_bytes
    assert sample.gpus == ()
    assert sample.disks == ()
