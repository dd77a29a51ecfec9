"""What the tools of each kind of machine print."""

import json
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from simulator.fleet import RunningFleet
from simulator.profiles import PROFILES
from tests.simulator import client
from tests.simulator.conftest import Shell

Says = Callable[[str, str], list[str]]
QUERY = "nvidia-smi --query-gpu={} --format=csv,noheader"


def test_gb10_reports_load_but_no_memory_power_limit_or_fan(says: Says) -> None:
    fields = (
        "index,name,memory.total,memory.used,memory.free,power.limit,fan.speed,"
        "clocks.current.memory,mig.mode.current"
    )
    assert says("dgx-spark", QUERY.format(fields)) == [
        "0, NVIDIA GB10" + ", [N/A]" * 7,
    ]
    [row] = says("dgx-spark", QUERY.format("pci.bus_id,utilization.gpu,temperature.gpu,power.draw"))
    bus, load, heat, power = row.split(", ")
    assert bus == "0000000F:01:00.0"
    assert 0 <= int(load.removesuffix(" %")) <= 100
    assert 20 < int(heat) < 100
    assert 2 < float(power.removesuffix(" W")) < 100


def test_every_gpu_of_a_server_has_its_own_row_and_uuid(says: Says) -> None:
    rows = says("dgx-h100", QUERY.format("index,uuid,memory.total"))
    assert [row.split(", ")[0] for row in rows] == [str(index) for index in range(8)]
    assert len({row.split(", ")[1] for row in rows}) == 8
    assert {row.split(", ")[2] for row in rows} == {"81559 MiB"}


def test_header_and_units_are_there_unless_refused(says: Says) -> None:
    query = "nvidia-smi --query-gpu=memory.total,power.draw,pstate --format=csv"
    header, first = says("rtx", query)[:2]
    assert header == "memory.total [MiB], power.draw [W], pstate"
    assert first.startswith("24564 MiB, ")
    bare = says("rtx", f"{query},noheader,nounits")
    assert len(bare) == 2
    assert bare[0].startswith("24564, ")


def test_older_names_of_a_field_are_understood(says: Says) -> None:
    fields = "gpu_name,gpu_uuid,clocks.sm,clocks_throttle_reasons.active"
    [header, *_] = says("rtx", f"nvidia-smi --query-gpu={fields} --format=csv")
    assert header == "name, uuid, clocks.current.sm [MHz], clocks_event_reasons.active"


def test_an_unknown_field_is_refused_in_the_driver_s_words(shell: Shell) -> None:
    done = shell("rtx", "nvidia-smi --query-gpu=name,hat.size --format=csv")
    assert done.returncode == 2
    assert done.stdout.decode().startswith('Field "hat.size" is not a valid field to query.\n')


def test_a_device_that_is_not_there_is_refused(shell: Shell) -> None:
    assert shell("rtx", "nvidia-smi --query-gpu=name --format=csv -i 9").returncode == 6
    assert shell("rtx", "nvidia-smi --shine").returncode == 1


def test_a_loop_prints_a_round_at_a_time_until_its_reader_goes(says: Says) -> None:
    command = f"{QUERY.format('timestamp,index')} -lms 50 | head -n 6"
    rows = says("rtx", command)
    assert [row.split(", ")[1] for row in rows] == ["0", "1"] * 3
    assert rows[0].split(", ")[0] == rows[1].split(", ")[0]
    assert rows[0].split(", ")[0] < rows[2].split(", ")[0]


def test_processes_of_gpus_are_alive_and_have_owners(
    fleet: RunningFleet, says: Says, shell: Shell
) -> None:
    client.wait_until(lambda: len(fleet["sim-dgx-h100"].body.jobs) >= 2)
    query = "nvidia-smi --query-compute-apps=pid,gpu_uuid,used_memory,name --format=csv,noheader"
    pid, uuid, memory, name = says("dgx-h100", query)[0].split(", ")
    assert uuid.startswith("GPU-")
    assert memory.endswith(" MiB")
    assert name
    owners = {"alice", "bob", "carol", "dave", "ollama"}
    assert says("dgx-h100", f"ls -ld /proc/{pid}")[0].split()[2] in owners
    assert says("dgx-h100", f"ps -o user= -p {pid}")[0] in owners
    assert f"/{pid}" in says("dgx-h100", f"readlink -f /proc/{pid}")[0]


def test_killing_the_process_of_a_job_ends_the_job(fleet: RunningFleet, shell: Shell) -> None:
    machine = fleet["sim-rtx"]
    client.wait_until(lambda: bool(machine.body.jobs), 120)
    pid = machine.body.jobs[0].pid
    assert shell("rtx", f"kill {pid}").returncode == 0
    client.wait_until(lambda: pid not in {job.pid for job in machine.body.jobs})


def test_list_names_mig_devices_below_their_gpu(says: Says) -> None:
    lines = says("dgx-h100", "nvidia-smi -L")
    assert [line.split(":")[0] for line in lines if line.startswith("GPU")] == [
        f"GPU {index}" for index in range(8)
    ]
    assert [line.split()[1] for line in lines if line.startswith("  MIG")] == [
        "3g.40gb",
        "3g.40gb",
        "3g.40gb",
        "2g.20gb",
        "1g.10gb",
    ]
    assert lines[6].startswith("GPU 6")
    assert lines[7].startswith("  MIG 3g.40gb     Device  0: (UUID: MIG-")


def test_xml_agrees_with_the_query(says: Says) -> None:
    document = ET.fromstring("\n".join(says("dgx-h100", "nvidia-smi -q -x")))
    gpus = document.findall("gpu")
    assert document.findtext("attached_gpus") == "8"
    assert [gpu.findtext("uuid") for gpu in gpus] == says("dgx-h100", QUERY.format("uuid"))
    assert gpus[6].findtext("mig_mode/current_mig") == "Enabled"
    assert gpus[6].findtext("utilization/gpu_util") == "N/A"
    assert len(gpus[7].findall("mig_devices/mig_device")) == 3
    assert gpus[0].findtext("gpu_power_readings/current_power_limit") == "700.00 W"


def test_xml_of_a_gb10_says_not_available(says: Says) -> None:
    document = ET.fromstring("\n".join(says("dgx-spark", "nvidia-smi -x -q")))
    gpu = document.find("gpu")
    assert gpu is not None
    for path in ("fb_memory_usage/total", "fan_speed", "gpu_power_readings/current_power_limit"):
        assert gpu.findtext(path) == "N/A"
    assert gpu.get("id") == "0000000F:01:00.0"


@pytest.mark.parametrize("profile", ["dgx-spark", "dgx-h100", "rtx"])
def test_the_table_is_as_wide_as_the_real_one(says: Says, profile: str) -> None:
    lines = [line for line in says(profile, "nvidia-smi")[1:] if line]
    assert {len(line) for line in lines} == {91}
    assert any(PROFILES[profile].driver in line for line in lines)


def test_rocm_smi_answers_what_it_was_asked(says: Says, shell: Shell) -> None:
    options = "--showuse --showmeminfo vram --showtemp --showpower --showproductname --json"
    cards = json.loads("".join(says("amd", f"rocm-smi {options}")))
    assert list(cards) == ["card0", "card1"]
    assert int(cards["card0"]["VRAM Total Memory (B)"]) == 20464 * 1024**2
    assert 0 <= int(cards["card1"]["GPU use (%)"]) <= 100
    assert cards["card0"]["Card Series"] == "Radeon RX 7900 XT"
    assert shell("amd", "rocm-smi --shine").returncode == 2
    assert shell("amd", "nvidia-smi").returncode == 127


def test_kernel_files_are_those_of_the_simulated_machine(says: Says) -> None:
    command = "cat /proc/uptime /proc/loadavg /proc/stat /proc/meminfo /proc/net/dev; nproc"
    lines = says("dgx-spark", command)
    assert "MemTotal:       125483396 kB" in lines
    assert len([line for line in lines if line.startswith("cpu")]) == 21
    assert lines[-1] == "20"
    assert says("dgx-spark", "grep -c ^processor /proc/cpuinfo") == ["20"]
    assert says("cpu-only", "nproc; cat /etc/passwd | head -n 1")[0] == "8"


def test_df_lists_the_disks_in_the_layouts_of_scripts(says: Says) -> None:
    assert says("dgx-h100", "df -kP /raid")[1].split()[0] == "/dev/md1"
    assert [line.split()[1] for line in says("dgx-h100", "df -kPT")[1:]] == [
        "tmpfs",
        "ext4",
        "ext4",
    ]
    assert says("dgx-h100", "df -P -k -- /")[1].split()[-1] == "/"


def test_docker_lists_inspects_and_stops(says: Says, shell: Shell) -> None:
    rows = [json.loads(line) for line in says("rtx", "docker ps --no-trunc --format '{{json .}}'")]
    assert {row["Names"] for row in rows} == {"pytorch-train", "vllm-server"}
    assert all(len(row["ID"]) == 64 and row["State"] == "running" for row in rows)
    stats = [json.loads(line) for line in says("rtx", "docker stats --no-stream --format json")]
    assert {row["ID"] for row in stats} == {row["ID"][:12] for row in rows}
    assert says("rtx", "docker stop vllm-server") == ["vllm-server"]
    running = says("rtx", "docker inspect -f '{{.State.Running}}' vllm-server pytorch-train")
    assert running == ["false", "true"]
    assert says("rtx", "docker start vllm-server; docker ps -q | wc -l")[-1].strip() == "2"
    assert len(says("rtx", "docker logs --tail 3 vllm-server")) == 3
    assert shell("rtx", "docker logs nobody").returncode == 1


def test_docker_run_runs_the_command(says: Says, shell: Shell) -> None:
    done = shell("rtx", "docker run --rm --gpus all -e A=b -- busybox sh -c 'echo $A; exit 3'")
    assert done.returncode in (3, 125)
    done = shell("rtx", "docker run --rm --gpus all -e A=b busybox sh -c 'echo $A; exit 3'")
    assert (done.stdout, done.returncode) == (b"b\n", 3)
    says("rtx", "docker run -d --name job busybox sh -c 'echo started; exec sleep 600'")
    client.wait_until(lambda: shell("rtx", "docker logs job").stdout == b"started\n")
    assert says("rtx", "docker inspect -f '{{.State.Running}}' job") == ["true"]
    assert says("rtx", "docker stop job; docker inspect -f '{{.State.ExitCode}}' job")[-1] == "143"


def test_docker_can_refuse_or_be_away(shell: Shell) -> None:
    done = shell("dgx-spark", "docker ps")
    assert done.returncode == 1
    assert b"permission denied while trying to connect" in done.stderr
    assert shell("cpu-only", "docker ps").returncode == 127
