"""Readings become windows: checked against sums written another way."""

import math
import statistics
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.collectors.readings import Cpu, Disk, Memory, Network, Sample
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS, columns
from metrics.history.window import aggregate, decode, encode, reading_of, window_end
from tests.metrics.machines import MOMENT, every_two_seconds, make_gpu, make_sample


def machine_numbers(*samples):
    window = aggregate(MOMENT, [reading_of(sample) for sample in samples])
    return dict(zip(columns(MACHINE_METRICS), window.numbers, strict=True))


def gpu_numbers(*samples, index=0):
    window = aggregate(MOMENT, [reading_of(sample) for sample in samples])
    gpu = next(gpu for gpu in window.gpus if gpu.index == index)
    return dict(zip(columns(GPU_METRICS), gpu.numbers, strict=True)) | {"count": gpu.count}


def test_mean_least_and_greatest_of_ten_readings():
    loads = [3.0, 99.5, 0.0, 41.0, 12.5, 80.0, 7.0, 7.0, 64.0, 20.0]
    samples = [
        make_sample(at, cpu=Cpu(load, 20, None, None))
        for at, load in zip(every_two_seconds(10), loads, strict=True)
    ]
    numbers = machine_numbers(*samples)
    assert numbers["cpu_percent_avg"] == pytest.approx(statistics.fmean(loads))
    assert (numbers["cpu_percent_min"], numbers["cpu_percent_max"]) == (0.0, 99.5)


def test_absent_values_take_no_part_and_zero_does():
    samples = [make_sample(cpu=Cpu(value)) for value in (None, 0.0, 50.0, None)]
    numbers = machine_numbers(*samples)
    assert numbers["cpu_percent_avg"] == 25.0
    assert numbers["cpu_percent_min"] == 0.0


def test_a_value_that_was_never_there_stays_absent():
    numbers = machine_numbers(make_sample(cpu=Cpu()), make_sample(cpu=Cpu()))
    assert numbers["cpu_percent_avg"] is None
    assert numbers["load_1m_max"] is None


def test_machine_values_follow_the_export_rules():
    gpus = (
        make_gpu(0, utilization_percent=10.0, memory_used_bytes=10, memory_total_bytes=100),
        make_gpu(
            1,
            utilization_percent=30.0,
            memory_used_bytes=50,
            memory_total_bytes=300,
            temperature_c=71.0,
            power_watts=None,
        ),
        make_gpu(2, utilization_percent=None, memory_used_bytes=None),
    )
    networks = (
        Network("eth0", rx_bytes_per_second=5.0, tx_bytes_per_second=1.0, is_physical=True),
        Network("eth1", rx_bytes_per_second=7.0, tx_bytes_per_second=2.0, is_physical=True),
        Network("docker0", rx_bytes_per_second=900.0, tx_bytes_per_second=9.0, is_physical=False),
    )
    numbers = machine_numbers(
        Sample(
            recorded_at=MOMENT,
            gpus=gpus,
            networks=networks,
            memory=Memory(200, 50, 140),
            disks=(Disk("/data", 100, 99), Disk("/", 400, 100)),
        )
    )
    assert numbers["gpu_percent_avg"] == 20.0
    assert numbers["gpu_memory_percent_avg"] == 15.0
    assert numbers["gpu_temperature_c_avg"] == 71.0
    assert numbers["gpu_power_watts_avg"] == 600.0
    assert numbers["network_rx_bytes_per_second_avg"] == 12.0
    assert numbers["network_tx_bytes_per_second_avg"] == 3.0
    assert numbers["memory_percent_avg"] == 25.0
    assert numbers["memory_available_percent_avg"] == 70.0
    assert numbers["disk_percent_avg"] == 25.0


def test_each_gpu_has_its_own_numbers_and_count():
    both = make_sample(gpus=2)
    alone = make_sample(gpus=1)
    assert gpu_numbers(both, alone, index=1)["count"] == 1
    assert gpu_numbers(both, alone, index=0)["count"] == 2
    throttled = Sample(recorded_at=MOMENT, gpus=(make_gpu(throttle_reasons=("sw_power_cap",)),))
    numbers = gpu_numbers(throttled, both, both, both)
    assert numbers["gpu_throttled_avg"] == 0.25
    assert numbers["gpu_memory_used_bytes_max"] == 20 * 2**30
    assert numbers["gpu_memory_percent_avg"] == 25.0


def test_impossible_numbers_and_indices_are_left_out():
    gpus = (make_gpu(0, power_watts=1e308), make_gpu(70_000))
    sample = Sample(recorded_at=MOMENT, gpus=gpus)
    numbers = gpu_numbers(sample, sample)
    assert numbers["gpu_power_watts_avg"] is None
    assert [gpu.index for gpu in reading_of(sample).gpus] == [0]


@pytest.mark.parametrize(
    ("second", "end"), [(0, 20), (19.999, 20), (20, 40), (59.999999, 60), (60, 80)]
)
def test_a_window_begins_inclusive_and_ends_exclusive(second, end):
    at = MOMENT + timedelta(seconds=second)
    assert window_end(at, 20) == MOMENT + timedelta(seconds=end)


@given(
    st.timedeltas(timedelta(days=-10_000), timedelta(days=30_000)),
    st.sampled_from([20.0, 2.0, 0.4, 1 / 3]),
)
def test_every_moment_lies_in_the_window_that_it_is_given(since, seconds):
    at = MOMENT + since
    end = window_end(at, seconds)
    width = timedelta(seconds=seconds)
    assert end - width - timedelta(microseconds=1) <= at < end


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=12))
def test_the_mean_lies_between_least_and_greatest(values):
    samples = [make_sample(cpu=Cpu(value)) for value in values]
    numbers = machine_numbers(*samples)
    known = [value for value in values if value is not None]
    if not known:
        assert numbers["cpu_percent_avg"] is None
        return
    low, high = numbers["cpu_percent_min"], numbers["cpu_percent_max"]
    assert math.isclose(numbers["cpu_percent_avg"], statistics.fmean(known), abs_tol=1e-6)
    assert low - 1e-9 <= numbers["cpu_percent_avg"] <= high + 1e-9


def test_a_reading_survives_its_way_through_redis():
    reading = reading_of(make_sample(MOMENT + timedelta(microseconds=123_456), gpus=8))
    assert decode(encode(reading)) == reading


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"[1,2,3]", b"[0,[1],[]]", b"null", b"\xff"])
def test_what_another_version_wrote_is_left_alone(text):
    assert decode(text) is None
