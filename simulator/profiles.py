"""The kinds of machine that can be simulated, as data.

To add one, copy a neighbour. Memory is in KiB where /proc counts in kB, in MiB where nvidia-smi
counts in MiB; power in watts, clocks in MHz.
"""

from dataclasses import dataclass

GIB_IN_KIB = 1024 * 1024


@dataclass(frozen=True)
class MigSlice:
    """One MIG device: its profile name, and the ids that nvidia-smi prints for it."""

    profile: str
    gpu_instance: int
    compute_instance: int
    multiprocessors: int
    memory_total_mib: int


@dataclass(frozen=True)
class GpuModel:
    """What one card is; `None` means that the tool reports the value as not available."""

    name: str
    vendor: str
    architecture: str
    compute_capability: str
    memory_total_mib: int | None
    idle_watts: float
    busy_watts: float
    power_limit_watts: float | None
    idle_clock_mhz: int
    busy_clock_mhz: int
    memory_clock_mhz: int | None
    idle_temperature_c: float
    busy_temperature_c: float
    has_fan: bool
    pci_domain: int
    device_id: str
    addressing_mode: str = "None"
    has_ecc: bool = False


@dataclass(frozen=True)
class Disk:
    """One file system as `df` lists it."""

    device: str
    kind: str
    mount: str
    total_kib: int
    used_kib: int


@dataclass(frozen=True)
class Interface:
    """One network interface, and the most that jobs move over it (bytes per second)."""

    name: str
    busy_bytes_per_second: int
    is_default: bool = False


@dataclass(frozen=True)
class Profile:
    """Everything about a machine that does not change while it runs."""

    name: str
    hardware: str
    cores: int
    cpu_model: str
    cpu_mhz: float
    memory_total_kib: int
    swap_total_kib: int
    disks: tuple[Disk, ...]
    interfaces: tuple[Interface, ...]
    tools: tuple[str, ...]
    docker: str = "absent"
    gpu: GpuModel | None = None
    gpu_count: int = 0
    driver: str = ""
    cuda: str = ""
    mig: tuple[tuple[int, tuple[MigSlice, ...]], ...] = ()
    is_unstable: bool = False

    @property
    def has_unified_memory(self) -> bool:
        """Whether the GPU shares the memory of the host and reports none of its own."""
        return self.gpu is not None and self.gpu.memory_total_mib is None

    def slices(self, gpu_index: int) -> tuple[MigSlice, ...]:
        """The MIG devices of one GPU; none where MIG is off."""
        return dict(self.mig).get(gpu_index, ())


GB10 = GpuModel(
    name="NVIDIA GB10",
    vendor="nvidia",
    architecture="Blackwell",
    compute_capability="12.1",
    memory_total_mib=None,
    idle_watts=4.2,
    busy_watts=88.0,
    power_limit_watts=None,
    idle_clock_mhz=208,
    busy_clock_mhz=2418,
    memory_clock_mhz=None,
    idle_temperature_c=38.0,
    busy_temperature_c=79.0,
    has_fan=False,
    pci_domain=0xF,
    device_id="0x2E1210DE",
    addressing_mode="ATS",
)
H100 = GpuModel(
    name="NVIDIA H100 80GB HBM3",
    vendor="nvidia",
    architecture="Hopper",
    compute_capability="9.0",
    memory_total_mib=81559,
    idle_watts=69.0,
    busy_watts=664.0,
    power_limit_watts=700.0,
    idle_clock_mhz=345,
    busy_clock_mhz=1980,
    memory_clock_mhz=2619,
    idle_temperature_c=27.0,
    busy_temperature_c=71.0,
    has_fan=False,
    pci_domain=0,
    device_id="0x233010DE",
    addressing_mode="HMM",
    has_ecc=True,
)
RTX_4090 = GpuModel(
    name="NVIDIA GeForce RTX 4090",
    vendor="nvidia",
    architecture="Ada Lovelace",
    compute_capability="8.9",
    memory_total_mib=24564,
    idle_watts=17.0,
    busy_watts=431.0,
    power_limit_watts=450.0,
    idle_clock_mhz=210,
    busy_clock_mhz=2745,
    memory_clock_mhz=10501,
    idle_temperature_c=33.0,
    busy_temperature_c=74.0,
    has_fan=True,
    pci_domain=0,
    device_id="0x268410DE",
)
RADEON_7900_XT = GpuModel(
    name="Radeon RX 7900 XT",
    vendor="amd",
    architecture="gfx1100",
    compute_capability="",
    memory_total_mib=20464,
    idle_watts=14.0,
    busy_watts=298.0,
    power_limit_watts=303.0,
    idle_clock_mhz=41,
    busy_clock_mhz=2394,
    memory_clock_mhz=1249,
    idle_temperature_c=36.0,
    busy_temperature_c=78.0,
    has_fan=True,
    pci_domain=0,
    device_id="0x744c",
)

# Two cards cut as an inference team would: one into two halves, one into a half and small parts.
H100_HALVES = (
    MigSlice("3g.40gb", 1, 0, 60, 40448),
    MigSlice("3g.40gb", 2, 0, 60, 40448),
)
H100_PARTS = (
    MigSlice("3g.40gb", 2, 0, 60, 40448),
    MigSlice("2g.20gb", 3, 0, 32, 20096),
    MigSlice("1g.10gb", 9, 0, 16, 9984),
)

_NVIDIA_TOOLS = ("nvidia-smi", "docker")
_ROOT_DISK = Disk("/dev/nvme0n1p2", "ext4", "/", 3_844_551_680, 912_680_550)
_BOOT_DISK = Disk("/dev/nvme0n1p1", "vfat", "/boot/efi", 523_248, 6_216)
_TMPFS = Disk("tmpfs", "tmpfs", "/run", 12_548_340, 2_484)

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="dgx-spark",
            hardware="aarch64",
            cores=20,
            cpu_model="Cortex-X925",
            cpu_mhz=3900.0,
            memory_total_kib=125_483_396,
            swap_total_kib=16_777_212,
            disks=(_TMPFS, _ROOT_DISK, _BOOT_DISK),
            interfaces=(
                Interface("enP7s7", 40_000_000, is_default=True),
                Interface("enp1s0f0np0", 900_000_000),
                Interface("enp1s0f1np1", 0),
                Interface("enP2p1s0f0np0", 0),
                Interface("enP2p1s0f1np1", 0),
            ),
            tools=_NVIDIA_TOOLS,
            # The first user of a Spark is not in the docker group as it is delivered.
            docker="denied",
            gpu=GB10,
            gpu_count=1,
            driver="580.159.03",
            cuda="13.0",
        ),
        Profile(
            name="dgx-h100",
            hardware="x86_64",
            cores=112,
            cpu_model="Intel(R) Xeon(R) Platinum 8480C",
            cpu_mhz=2000.0,
            memory_total_kib=2_113_393_484,
            swap_total_kib=0,
            disks=(
                _TMPFS,
                Disk("/dev/md0", "ext4", "/", 1_844_551_680, 302_680_550),
                Disk("/dev/md1", "ext4", "/raid", 30_004_551_680, 11_502_680_550),
            ),
            interfaces=(
                Interface("ens6f0", 110_000_000, is_default=True),
                Interface("ibp24s0", 6_000_000_000),
                Interface("docker0", 0),
            ),
            tools=_NVIDIA_TOOLS,
            docker="ok",
            gpu=H100,
            gpu_count=8,
            driver="580.105.08",
            cuda="13.0",
            mig=((6, H100_HALVES), (7, H100_PARTS)),
        ),
        Profile(
            name="amd",
            hardware="x86_64",
            cores=32,
            cpu_model="AMD Ryzen Threadripper PRO 7975WX 32-Cores",
            cpu_mhz=4000.0,
            memory_total_kib=263_735_412,
            swap_total_kib=8_388_604,
            disks=(_TMPFS, _ROOT_DISK),
            interfaces=(Interface("enp5s0", 90_000_000, is_default=True),),
            tools=("rocm-smi", "docker"),
            docker="ok",
            gpu=RADEON_7900_XT,
            gpu_count=2,
            driver="6.12.12",
        ),
        Profile(
            name="flaky",
            hardware="x86_64",
            cores=16,
            cpu_model="AMD Ryzen 9 7950X 16-Core Processor",
            cpu_mhz=4500.0,
            memory_total_kib=65_576_256,
            swap_total_kib=2_097_148,
            disks=(_TMPFS, _ROOT_DISK),
            interfaces=(Interface("eth0", 60_000_000, is_default=True),),
            tools=_NVIDIA_TOOLS,
            docker="stopped",
            gpu=RTX_4090,
            gpu_count=1,
            driver="575.57.08",
            cuda="12.9",
            is_unstable=True,
        ),
        Profile(
            name="rtx",
            hardware="x86_64",
            cores=16,
            cpu_model="AMD Ryzen 9 7950X 16-Core Processor",
            cpu_mhz=4500.0,
            memory_total_kib=65_576_256,
            swap_total_kib=2_097_148,
            disks=(_TMPFS, _ROOT_DISK),
            interfaces=(Interface("eth0", 60_000_000, is_default=True),),
            tools=_NVIDIA_TOOLS,
            docker="ok",
            gpu=RTX_4090,
            gpu_count=2,
            driver="575.57.08",
            cuda="12.9",
        ),
        Profile(
            name="cpu-only",
            hardware="x86_64",
            cores=8,
            cpu_model="Intel(R) Xeon(R) Silver 4309Y CPU @ 2.80GHz",
            cpu_mhz=2800.0,
            memory_total_kib=32_780_156,
            swap_total_kib=4_194_300,
            disks=(_TMPFS, _ROOT_DISK),
            interfaces=(Interface("eth0", 60_000_000, is_default=True),),
            tools=(),
        ),
    )
}
