"""The other tools' formats, text in and values out."""

import pytest

from metrics.collectors.amd import amd_smi, rocm_smi
from metrics.collectors.linux import df, docker_ps, owners, power_supply, proc
from metrics.collectors.tokens import Refusals, words
from tests.collectors.machine import CAPTURES

KIB = 1024


def capture(name: str) -> str:
    return (CAPTURES / name).read_text()


# AMD.


@pytest.mark.parametrize(
    ("name", "watts", "used", "model"),
    [
        ("rx6700xt-rocm430", 6.0, 1622728704, "0x1002"),
        ("rx6700xt-rocm571", 6.0, 1564491776, "Navi 22 [Radeon RX 6700/6700 XT / 6800M]"),
        ("rx6700xt-rocm602", None, 1572757504, "Navi 22 [Radeon RX 6700/6700 XT / 6800M]"),
        ("rx6700xt-rocm612", 6.0, 1572745216, "Navi 22 [Radeon RX 6700/6700 XT / 6800M]"),
    ],
)
def test_reads_four_generations_of_rocm(
    name: str, watts: float | None, used: int, model: str
) -> None:
    refusals = Refusals()
    (gpu,) = rocm_smi.parse(capture(f"rocm-smi/{name}.json"), refusals)
    assert (gpu.index, gpu.uuid, gpu.name) == (0, None, model)
    assert (gpu.utilization_percent, gpu.temperature_c) == (0, 45)
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (used, 12868124672)
    assert (gpu.power_watts, gpu.power_limit_watts) == (watts, 211)
    assert gpu.memory_clock_mhz == 96
    assert refusals.count == 0


def test_reads_a_vega_with_its_id_and_fan() -> None:
    (gpu,) = rocm_smi.parse(capture("rocm-smi/vega10-xt.json"), Refusals())
    assert (gpu.uuid, gpu.fan_percent, gpu.sm_clock_mhz) == ("0x2150e7d042a1124", 13, 1269)


def test_a_card_that_tells_little_has_nulls() -> None:
    (gpu,) = rocm_smi.parse(capture("rocm-smi/rx7900xt.json"), Refusals())
    assert gpu.name == "Radeon RX 7900 XT"
    assert (gpu.temperature_c, gpu.power_watts, gpu.fan_percent) == (None, None, None)


@pytest.mark.parametrize(
    "name", ["780m-truncated.json", "warning-hung-gpu.txt", "mi300x-x4.table.txt", "rx7900xt.csv"]
)
def test_refuses_what_is_no_complete_json(name: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|cards"):
        rocm_smi.parse(capture(f"rocm-smi/{name}"), Refusals())


@pytest.mark.parametrize("wrap", ["[{}]", '{{"gpu_data": [{}]}}'], ids=["rocm6", "rocm7"])
def test_reads_both_shapes_of_amd_smi(wrap: str) -> None:
    """Only a cut-off capture is public; this is its shape, completed by hand."""
    block = (
        '{"gpu": 0, "usage": {"gfx_activity": {"value": 42, "unit": "%"}, "umc_activity": "N/A"},'
        '"power": {"socket_power": {"value": 11, "unit": "W"}},'
        '"temperature": {"edge": "N/A", "hotspot": {"value": 51, "unit": "C"}},'
        '"mem_usage": {"total_vram": {"value": 1024, "unit": "MB"},'
        '"used_vram": {"value": 24, "unit": "MB"}}}'
    )
    static = (
        '[{"gpu": 0, "asic": {"market_name": "Navi"},'
        '"limit": {"max_power": {"value": 190, "unit": "W"}}}]'
    )
    shape = wrap.replace("{}", "%s").replace("{{", "{").replace("}}", "}") % block
    (gpu,) = amd_smi.parse(shape, static, Refusals())
    assert (gpu.utilization_percent, gpu.power_watts, gpu.temperature_c) == (42, 11, 51)
    assert (gpu.name, gpu.power_limit_watts) == ("Navi", 190)
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (24 * 2**20, 1024 * 2**20)


@pytest.mark.parametrize("name", ["w7700-usage.truncated.json", "navi-x2-power.text.txt"])
def test_refuses_incomplete_amd_smi(name: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        amd_smi.parse(capture(f"amd-smi/{name}"), "", Refusals())


# The kernel.


def test_reads_a_large_machines_memory() -> None:
    memory = proc.memory(capture("proc-meminfo/gb10-trimmed-a.txt"))
    assert memory.total_bytes == 125483396 * KIB
    assert memory.available_bytes == 94849180 * KIB
    assert memory.used_bytes == (125483396 - 94849180) * KIB
    assert memory.swap_used_bytes == (16777212 - 13096264) * KIB


def test_memory_of_an_old_kernel_has_no_available() -> None:
    memory = proc.memory(capture("proc-meminfo/node-exporter-old-kernel.txt"))
    assert memory.available_bytes is None
    assert memory.used_bytes == (3742148 - 225472 - 22040 - 930888) * KIB


@pytest.mark.parametrize("name", ["gopsutil-anonhuge", "jc-vm"])
def test_reads_other_memories(name: str) -> None:
    text = capture(f"proc-meminfo/{name}.txt")
    told = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if ":" in line}
    memory = proc.memory(text)
    assert memory.total_bytes == told["MemTotal"] * KIB
    swap = told.get("SwapTotal")
    assert memory.swap_total_bytes == (None if swap is None else swap * KIB)


@pytest.mark.parametrize(("name", "cores"), [("node-exporter", 8), ("jc-ubuntu-vm", 2)])
def test_reads_processors(name: str, cores: int) -> None:
    text = capture(f"proc-stat/{name}.txt")
    ticks = [int(word) for word in text.split("\n")[0].split()[1:9]]
    times = proc.cpu_times(text)
    assert times is not None
    assert times.total == sum(ticks)
    assert times.busy == sum(ticks) - ticks[3] - ticks[4]
    assert proc.cores(text) == cores


def test_utilisation_is_the_busy_share_between_two_frames() -> None:
    before, now = proc.CpuTimes(100, 1000), proc.CpuTimes(150, 1200)
    assert proc.utilization_percent(before, now) == 25
    assert proc.utilization_percent(None, now) is None
    assert proc.utilization_percent(now, before) is None
    assert proc.utilization_percent(now, now) is None


def test_reads_interfaces() -> None:
    found = proc.networks(capture("proc-net-dev/procfs.txt"))
    assert list(found) == ["vethf345468", "lo", "docker0", "eth0"]
    assert found["eth0"] == proc.Counters(874354587, 1036395, 563352563, 732147)


def test_reads_the_load() -> None:
    assert proc.load_1m("1.5 2.5\n" + capture("proc-loadavg/procfs.txt")) == 0.02


# df, batteries, containers.


@pytest.mark.parametrize(
    ("name", "disks"),
    [
        ("centos7.df", [("/", 17811456, 1805580), ("/boot", 1038336, 237600)]),
        (
            "ubuntu-nvme.df-kPT",
            [("/", 238737052, 120867288), ("/boot/efi", 523248, 6216)],
        ),
        ("rhel-lvm-proc-dash.df-kPT", [("/", 6030784, 1147932)]),
    ],
)
def test_reads_file_systems(name: str, disks: list[tuple[str, int, int]]) -> None:
    found = df.parse(capture(f"df/{name}.txt").splitlines())
    assert [(d.mount, d.total_bytes, d.used_bytes) for d in found] == [
        (mount, total * KIB, used * KIB) for mount, total, used in disks
    ]


def test_reads_mounts_with_blanks_and_over_the_network() -> None:
    lines = [
        "/dev/sdb1 100 40 60 40% /media/My Disk",
        "//nas/my share 200 50 150 25% /mnt/nas",
        "10.0.0.1@tcp:/fs 300 1 299 1% /lustre",
        "overlay 400 4 396 1% /",
    ]
    assert [disk.mount for disk in df.parse(lines)] == [
        "/media/My Disk",
        "/mnt/nas",
        "/lustre",
        "/",
    ]


def test_reads_a_battery_that_empties() -> None:
    battery = power_supply.parse(capture("power-supply/thinkpad-bat0.uevent.txt").splitlines())
    assert battery is not None
    assert (battery.level_percent, battery.charging) == (85, False)
    assert battery.seconds_left == int(40730000 / 5064000 * 3600)


def test_reads_a_battery_told_in_charge() -> None:
    text = capture("power-supply/charge-brunch-discharging.uevent.txt")
    battery = power_supply.parse(text.splitlines())
    assert battery is not None
    assert (battery.level_percent, battery.seconds_left) == (74, int(5920000 / 1560000 * 3600))


def test_mains_is_no_battery() -> None:
    assert power_supply.parse(capture("power-supply/thinkpad-ac.uevent.txt").splitlines()) is None


def test_two_batteries_and_a_mouse_are_one_battery() -> None:
    lines = [
        "POWER_SUPPLY_NAME=BAT0",
        "POWER_SUPPLY_STATUS=Charging",
        "POWER_SUPPLY_CAPACITY=100",
        "POWER_SUPPLY_ENERGY_NOW=30",
        "POWER_SUPPLY_ENERGY_FULL=30",
        "POWER_SUPPLY_NAME=BAT1",
        "POWER_SUPPLY_STATUS=Full",
        "POWER_SUPPLY_CAPACITY=50",
        "POWER_SUPPLY_ENERGY_NOW=35",
        "POWER_SUPPLY_ENERGY_FULL=70",
        "POWER_SUPPLY_NAME=mouse",
        "POWER_SUPPLY_SCOPE=Device",
        "POWER_SUPPLY_CAPACITY=1",
    ]
    battery = power_supply.parse(lines)
    assert battery is not None
    assert (battery.level_percent, battery.charging, battery.seconds_left) == (65, True, None)


def test_names_containers() -> None:
    names = docker_ps.parse(capture("docker-ps/nginx-two.jsonl").splitlines())
    assert names == {"30a73eea432e": "bar", "9124ad73c355": "foo"}
    assert docker_ps.name_of("30a73eea432e" + "0" * 52, names) == "bar"
    assert docker_ps.name_of("f" * 64, names) == "f" * 12


def test_reads_containers_told_as_an_array() -> None:
    names = docker_ps.parse(capture("docker-ps/aci-array.json").splitlines())
    assert names == {"nginx_app": "nginx_app"}


ID = "9f" * 32


@pytest.mark.parametrize(
    ("cgroups", "container"),
    [
        (f"|0::/system.slice/docker-{ID}.scope", ID),
        (f"|12:memory:/docker/{ID}|11:cpu:/docker/{ID}", ID),
        (f"|0::/user.slice/user-1000.slice/libpod-{ID}.scope/container", ID),
        (f"|0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", ID),
        ("|0::/lxc.payload.web-1/init.scope", "web-1"),
        ("|0::/user.slice/user-1000.slice/session-3.scope", None),
        ("", None),
    ],
)
def test_finds_the_container_of_a_process(cgroups: str, container: str | None) -> None:
    assert owners.parse(f"42 alice {cgroups}") == (42, owners.Owner("alice", container))


@pytest.mark.parametrize("user", ["$(id)", "<b>", "?", ""])
def test_refuses_an_odd_user_name(user: str) -> None:
    told = owners.parse(f"42 {user} |0::/")
    assert told is not None
    assert told[1].user is None


def test_words_are_one_bounded_line_without_control_characters() -> None:
    said = words("\x1b]52;c;AAAA\x07 evil\r\nsecond\tline " + "x" * 1000)
    assert said.startswith("]52;c;AAAA evil second line")
    assert len(said) <= 300
    assert said.isprintable()


def test_every_capture_is_described() -> None:
    text = (CAPTURES / "README.md").read_text()
    files = [path for path in CAPTURES.rglob("*") if path.is_file() and path.name != "README.md"]
    assert [path.name for path in files if f"`{path.name}`" not in text] == []
