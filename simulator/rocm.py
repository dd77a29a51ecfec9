"""What the AMD driver of a simulated machine would answer, as tables for the fake `rocm-smi`.

The columns are the JSON keys of ROCm 6.1 (see the RX 6700 XT captures); all values are texts, as
the tool prints them.
"""

from simulator.physics import Machine, gpu_memory_used_mib
from simulator.tools.tables import Row

_MIB = 1024 * 1024


def card_rows(machine: Machine) -> list[Row]:
    """One row per card."""
    model = machine.profile.gpu
    assert model is not None
    assert model.memory_total_mib is not None
    rows = []
    for index, gpu in enumerate(machine.gpus):
        used_mib = min(int(gpu_memory_used_mib(machine, index)) + 27, model.memory_total_mib)
        percent = round(gpu.utilization_percent)
        rows.append(
            {
                "Device Name": model.name,
                "Device ID": model.device_id,
                "GUID": str(26967 + index),
                "Unique ID": f"0x{0x2150E7D042A1124 + machine.seed * 16 + index:x}",
                "Temperature (Sensor edge) (C)": f"{gpu.temperature_c:.1f}",
                "Temperature (Sensor junction) (C)": f"{gpu.temperature_c + 9:.1f}",
                "Temperature (Sensor memory) (C)": f"{gpu.temperature_c + 4:.1f}",
                "mclk clock speed:": f"({model.memory_clock_mhz}Mhz)",
                "mclk clock level:": "3",
                "sclk clock speed:": f"({round(gpu.clock_mhz)}Mhz)",
                "sclk clock level:": "1",
                "Fan speed (level)": str(round(gpu.fan_percent * 2.55)),
                "Fan speed (%)": str(round(gpu.fan_percent)),
                "Fan RPM": str(round(gpu.fan_percent * 33)),
                "Performance Level": "auto",
                "Max Graphics Package Power (W)": f"{model.power_limit_watts:.1f}",
                "Average Graphics Package Power (W)": f"{gpu.power_watts:.1f}",
                "GPU use (%)": str(percent),
                "GPU Memory Allocated (VRAM%)": str(used_mib * 100 // model.memory_total_mib),
                "GPU Memory Read/Write Activity (%)": str(percent // 2),
                "PCI Bus": f"0000:{3 + 0x40 * index:02X}:00.0",
                "VRAM Total Memory (B)": str(model.memory_total_mib * _MIB),
                "VRAM Total Used Memory (B)": str(used_mib * _MIB),
                "Card Series": model.name,
                "Card Model": model.device_id,
                "Card Vendor": "Advanced Micro Devices, Inc. [AMD/ATI]",
                "Card SKU": "D70401XT",
                "Node ID": str(index + 1),
                "GFX Version": model.architecture,
                "Driver version": machine.profile.driver,
            }
        )
    return rows


def process_rows(machine: Machine) -> list[Row]:
    """One row per process that uses a card."""
    return [
        {
            "pid": str(job.pid),
            "name": job.name,
            "gpu_index": str(job.gpu_index),
            "memory_bytes": str(int(job.memory_mib) * _MIB),
        }
        for job in machine.jobs
    ]
