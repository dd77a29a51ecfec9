"""Hours and days: a row per machine and per GPU, which rows have to be computed, and retention.

The names of the metrics are written out, so that the tables stay what they were when the catalogue
grows. Hours are partitioned by month and days by year: a partition holds what a retention of
months or years drops at once. `at` is the start of the hour or day, UTC.
"""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

MACHINE_METRICS = (
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "gpu_percent",
    "gpu_memory_percent",
    "gpu_temperature_c",
    "gpu_power_watts",
    "network_rx_bytes_per_second",
    "network_tx_bytes_per_second",
    "memory_available_percent",
    "load_1m",
    "memory_pressure_percent",
)

GPU_METRICS = (
    "gpu_percent",
    "gpu_memory_percent",
    "gpu_memory_used_bytes",
    "gpu_temperature_c",
    "gpu_power_watts",
    "gpu_sm_clock_mhz",
    "gpu_throttled",
)


def _numbers(names: tuple[str, ...]) -> str:
    return ", ".join(
        f"{name}_avg real, {name}_min real, {name}_max real, {name}_count integer" for name in names
    )


def _tables(tier: str) -> str:
    return f"""
CREATE TABLE metrics_{tier}_machine (
    at timestamptz NOT NULL,
    machine integer NOT NULL,
    {_numbers(MACHINE_METRICS)}
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX metrics_{tier}_machine_key ON metrics_{tier}_machine (machine, at);
CREATE TABLE metrics_{tier}_gpu (
    at timestamptz NOT NULL,
    machine integer NOT NULL,
    gpu smallint NOT NULL,
    {_numbers(GPU_METRICS)}
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX metrics_{tier}_gpu_key ON metrics_{tier}_gpu (machine, gpu, at);
"""


# What was written before there were hours is computed like everything else.
BACKLOG = """
INSERT INTO metrics_pending (tier, at, machine)
SELECT DISTINCT 'hourly', date_trunc('hour', at - interval '1 microsecond', 'UTC'), machine
FROM metrics_raw_machine
"""


def _drop(tier: str) -> str:
    return f"DROP TABLE metrics_{tier}_machine, metrics_{tier}_gpu"


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0001_initial"),
        ("metrics", "0002_raw_tables"),
    ]

    operations = [
        migrations.RunSQL(_tables("hourly"), _drop("hourly")),
        migrations.RunSQL(_tables("daily"), _drop("daily")),
        migrations.CreateModel(
            name="Pending",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tier",
                        "at",
                        "machine",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        choices=[("raw", "20 seconds"), ("hourly", "hours"), ("daily", "days")],
                        max_length=6,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("machine", models.IntegerField()),
            ],
        ),
        migrations.AddField(
            model_name="machine",
            name="hourly_from",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="machine",
            name="raw_from",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name="Retention",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        choices=[("raw", "20 seconds"), ("hourly", "hours"), ("daily", "days")],
                        max_length=6,
                    ),
                ),
                (
                    "keep_days",
                    models.PositiveIntegerField(
                        help_text="Whole days, UTC. What is older goes with the next clean-up.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(7305),
                        ],
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: every machine that has no line of its own.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retentions",
                        to="connections.connection",
                        verbose_name="machine",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "retention",
                "ordering": ("connection", "tier"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tier", "connection"),
                        name="one_retention_per_tier_and_machine",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("keep_days__gte", 1), ("keep_days__lte", 7305)),
                        name="retention_of_one_day_to_twenty_years",
                    ),
                ],
            },
        ),
        migrations.RunSQL(BACKLOG, migrations.RunSQL.noop),
    ]
