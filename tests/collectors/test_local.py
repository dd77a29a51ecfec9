"""The site's own machine: the same shape as any other, and the contract's second shape."""

from datetime import UTC, datetime

import psutil

from metrics.collectors.local import LocalCollector
from metrics.collectors.this_machine import this_machine
from tests.collectors.machine import health

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_local_sample_has_the_shape_of_any_other() -> None:
    collector = LocalCollector()
    first = collector.sample(NOW, 100.0)
    second = collector.sample(NOW, 102.0)
    assert first.cpu.utilization_percent is None
    assert second.cpu.utilization_percent is not None
    assert second.cpu.cores == psutil.cpu_count()
    assert second.memory.total_bytes == psutil.virtual_memory().total
    root = next(disk for disk in second.disks if disk.mount == "/")
    assert root.total_bytes == psutil.disk_usage("/").total
    assert {network.interface for network in second.networks} == set(psutil.net_io_counters(True))
    assert all(network.rx_bytes_per_second is None for network in first.networks)
    assert any(network.rx_bytes_per_second is not None for network in second.networks)
    assert health(second, "proc").ok


def test_a_machine_without_nvml_has_no_gpus_and_says_so() -> None:
    sample = LocalCollector().sample(NOW, 0.0)
    told = health(sample, "nvidia_smi")
    assert told.ok is bool(sample.gpus) or told.detail is None
    assert told.ok or told.detail


def test_this_machine_has_the_contracts_keys() -> None:
    shown = this_machine()
    assert set(shown) == {"timestamp", "cpu", "memory", "gpu", "gpus", "battery"}
    assert set(shown["cpu"]) == {"utilization", "cores", "frequency", "maxFrequency"}
    assert set(shown["memory"]) == {
        *("total", "used", "available", "percent"),
        *("swapTotal", "swapUsed", "swapPercent"),
    }
    assert shown["memory"]["total"] == psutil.virtual_memory().total
    assert 0 <= shown["cpu"]["utilization"] <= 100
    assert shown["gpu"] == (shown["gpus"][0] if shown["gpus"] else None)
    for gpu in shown["gpus"]:
        assert set(gpu) == {
            *("model", "vendor", "memoryTotal", "memoryUsed", "memoryFree", "memoryPercent"),
            *("utilization", "memoryUtilization", "temperature", "powerDraw"),
            *("graphicsClock", "memoryClock"),
        }
