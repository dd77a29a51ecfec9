"""The raw tier: a row per machine and a row per GPU for every window, partitioned by day.

Written out, so that it stays what it was when the catalogue grows. The fixed columns come in the
order of their alignment, so that a row has no holes; `at` is the end of the window. In the index of
the GPUs `gpu` stands before `at`, where it fills a hole that would cost 8 bytes a row; who reads
all GPUs of a machine names their indices.
"""

from django.db import migrations

MACHINE_COLUMNS = """
    cpu_percent_avg real, cpu_percent_min real, cpu_percent_max real,
    memory_percent_avg real, memory_percent_min real, memory_percent_max real,
    disk_percent_avg real, disk_percent_min real, disk_percent_max real,
    gpu_percent_avg real, gpu_percent_min real, gpu_percent_max real,
    gpu_memory_percent_avg real, gpu_memory_percent_min real, gpu_memory_percent_max real,
    gpu_temperature_c_avg real, gpu_temperature_c_min real, gpu_temperature_c_max real,
    gpu_power_watts_avg real, gpu_power_watts_min real, gpu_power_watts_max real,
    network_rx_bytes_per_second_avg real, network_rx_bytes_per_second_min real,
    network_rx_bytes_per_second_max real,
    network_tx_bytes_per_second_avg real, network_tx_bytes_per_second_min real,
    network_tx_bytes_per_second_max real,
    memory_available_percent_avg real, memory_available_percent_min real,
    memory_available_percent_max real,
    load_1m_avg real, load_1m_min real, load_1m_max real,
    memory_pressure_percent_avg real, memory_pressure_percent_min real,
    memory_pressure_percent_max real
"""

GPU_COLUMNS = """
    gpu_percent_avg real, gpu_percent_min real, gpu_percent_max real,
    gpu_memory_percent_avg real, gpu_memory_percent_min real, gpu_memory_percent_max real,
    gpu_memory_used_bytes_avg real, gpu_memory_used_bytes_min real,
    gpu_memory_used_bytes_max real,
    gpu_temperature_c_avg real, gpu_temperature_c_min real, gpu_temperature_c_max real,
    gpu_power_watts_avg real, gpu_power_watts_min real, gpu_power_watts_max real,
    gpu_sm_clock_mhz_avg real, gpu_sm_clock_mhz_min real, gpu_sm_clock_mhz_max real,
    gpu_throttled_avg real, gpu_throttled_min real, gpu_throttled_max real
"""

MACHINE_TABLE = f"""
CREATE TABLE metrics_raw_machine (
    at timestamptz NOT NULL,
    machine integer NOT NULL,
    readings smallint NOT NULL,
    {MACHINE_COLUMNS}
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX metrics_raw_machine_key ON metrics_raw_machine (machine, at);
"""

GPU_TABLE = f"""
CREATE TABLE metrics_raw_gpu (
    at timestamptz NOT NULL,
    machine integer NOT NULL,
    gpu smallint NOT NULL,
    readings smallint NOT NULL,
    {GPU_COLUMNS}
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX metrics_raw_gpu_key ON metrics_raw_gpu (machine, gpu, at);
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0001_initial")]

    operations = [
        migrations.RunSQL(MACHINE_TABLE, "DROP TABLE metrics_raw_machine"),
        migrations.RunSQL(GPU_TABLE, "DROP TABLE metrics_raw_gpu"),
    ]
