"""The ledger added up by the day as well, so that a year of many GPUs is read at once."""

from django.db import migrations

DAY_TABLE = """
CREATE TABLE usage_day (
    at timestamptz NOT NULL,
    machine integer NOT NULL,
    owner integer NOT NULL,
    gpu smallint NOT NULL,
    seconds real NOT NULL,
    share_seconds real NOT NULL,
    busy_seconds real,
    gpu_busy_seconds real,
    idle_seconds real,
    memory_mean_bytes real,
    memory_max_bytes real,
    energy_wh real
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX usage_day_key ON usage_day (machine, at, gpu, owner);
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0002_ledger_tables")]

    operations = [migrations.RunSQL(DAY_TABLE, "DROP TABLE usage_day")]
