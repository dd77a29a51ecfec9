"""The ledger: a row per minute, GPU and owner, and the same added up by the hour.

Written out, so that it stays what it was when the columns grow. The fixed columns come in the order
of their alignment; `at` is the start of the minute or hour, UTC. `owner` is a number of
`usage_owner`, without a foreign key: it would be looked up once per row and minute.
"""

from django.db import migrations

NUMBERS = """
    seconds real NOT NULL,
    share_seconds real NOT NULL,
    busy_seconds real,
    gpu_busy_seconds real,
    idle_seconds real,
    memory_mean_bytes real,
    memory_max_bytes real,
    energy_wh real
"""

MINUTE_TABLE = f"""
CREATE TABLE usage_minute (
    at timestamptz NOT NULL,
    idle_since timestamptz,
    machine integer NOT NULL,
    owner integer NOT NULL,
    gpu smallint NOT NULL,
    {NUMBERS}
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX usage_minute_key ON usage_minute (machine, at, gpu, owner);
"""

HOUR_TABLE = f"""
CREATE TABLE usage_hour (
    at timestamptz NOT NULL,
    machine integer NOT NULL,
    owner integer NOT NULL,
    gpu smallint NOT NULL,
    {NUMBERS}
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX usage_hour_key ON usage_hour (machine, at, gpu, owner);
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial")]

    operations = [
        migrations.RunSQL(MINUTE_TABLE, "DROP TABLE usage_minute"),
        migrations.RunSQL(HOUR_TABLE, "DROP TABLE usage_hour"),
    ]
