"""What `nvidia-smi` prints for people: the table, `-L`, `-q`, `--version`."""

import sys
import time

from simulator.tools.nvidia_options import Options, chosen
from simulator.tools.tables import Row, read_table

_WIDE = "+" + "-" * 89 + "+\n"
_COLUMNS = (
    "+-----------------------------------------+------------------------+----------------------+\n"
)
_TITLES = """\
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
"""
_PROCESS_TITLES = """\
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
"""
_VERSION = """\
NVIDIA-SMI version  : {driver}
NVML version        : {major}
DRIVER version      : {driver}
CUDA Version        : {cuda}
"""


def speak_list(state_dir: str, options: Options, is_first: bool) -> None:
    """`-L`: every card, and the MIG devices below it."""
    parts = read_table(state_dir, "mig")
    for gpu in chosen(read_table(state_dir, "gpus"), options.devices):
        sys.stdout.write(f"GPU {gpu['index']}: {gpu['name']} (UUID: {gpu['uuid']})\n")
        for part in parts:
            if part["gpu_index"] == gpu["index"]:
                sys.stdout.write(
                    f"  MIG {part['profile']:<10}  Device {part['index']:>2}:"
                    f" (UUID: {part['uuid']})\n"
                )


def speak_version(state_dir: str, options: Options, is_first: bool) -> None:
    """`--version`."""
    gpu = read_table(state_dir, "gpus")[0]
    driver = gpu["driver_version"]
    major = ".".join(driver.split(".")[:2])
    sys.stdout.write(_VERSION.format(driver=driver, major=major, cuda=gpu["cuda_version"]))


def speak_details(state_dir: str, options: Options, is_first: bool) -> None:
    """`-q` without `-x`: every value that the CSV query knows, a line each."""
    gpus = read_table(state_dir, "gpus")
    sys.stdout.write("\n==============NVSMI LOG==============\n\n")
    sys.stdout.write(f"Timestamp{'':<35}: {time.strftime('%a %b %e %H:%M:%S %Y')}\n")
    sys.stdout.write(f"Attached GPUs{'':<31}: {len(gpus)}\n")
    for gpu in chosen(gpus, options.devices):
        sys.stdout.write(f"\nGPU {gpu['pci.bus_id']}\n")
        for name, value in gpu.items():
            sys.stdout.write(f"    {name:<40}: {value.strip('[]')}\n")


def speak_table(state_dir: str, options: Options, is_first: bool) -> None:
    """The table that `nvidia-smi` alone prints."""
    gpus = chosen(read_table(state_dir, "gpus"), options.devices)
    driver, cuda = gpus[0]["driver_version"], gpus[0]["cuda_version"]
    versions = f" NVIDIA-SMI {driver:<22} Driver Version: {driver:<14} CUDA Version: {cuda:<9}"
    sys.stdout.write(time.strftime("%a %b %e %H:%M:%S %Y\n"))
    sys.stdout.write(f"{_WIDE}|{versions:<89}|\n{_COLUMNS}{_TITLES}")
    for gpu in gpus:
        sys.stdout.write(_gpu_rows(gpu) + _COLUMNS)
    sys.stdout.write(f"\n{_WIDE}{_PROCESS_TITLES}")
    sys.stdout.write(_process_rows(read_table(state_dir, "apps")) + _WIDE)


def _gpu_rows(gpu: Row) -> str:
    used, total = _tight(gpu["memory.used"]), _tight(gpu["memory.total"])
    memory = f" {'Not Supported':<22}" if total == "N/A" else f"{used} / {total}".rjust(23)
    power = f"{_rounded(gpu['power.draw'])} /  {_rounded(gpu['power.limit']):<4}"
    fan, load = _tight(gpu["fan.speed"]), _tight(gpu["utilization.gpu"])
    persistence = "On" if gpu["persistence_mode"] == "Enabled" else "Off"
    ecc = "N/A" if gpu["ecc.mode.current"] == "[N/A]" else "0"
    return (
        f"| {gpu['index']:>3}  {gpu['name']:<30}{persistence:>3}  "
        f"|   {gpu['pci.bus_id']} Off |{ecc:>21} |\n"
        f"| {fan:>3}   {gpu['temperature.gpu']:>2}C    {gpu['pstate']:<2}{power:>24} "
        f"|{memory} | {load:>7} {gpu['compute_mode']:>12} |\n"
        f"|{'':41}|{'':24}|{_tight(gpu['mig.mode.current']):>21} |\n"
    )


def _process_rows(apps: list[Row]) -> str:
    if not apps:
        return f"|{'  No running processes found':<89}|\n"
    return "".join(
        f"|{app['index']:>5}{_tight(app['gpu_instance']):>6}{_tight(app['compute_instance']):>5}"
        f"{app['pid']:>16}      C   {app['process_name'][:36]:<36}"
        f"{_tight(app['used_gpu_memory']):>10} |\n"
        for app in apps
    )


def _tight(value: str) -> str:
    return value.strip("[]").replace(" ", "")


def _rounded(watts: str) -> str:
    return f"{round(float(watts.removesuffix(' W')))}W" if watts.endswith(" W") else "N/A"
