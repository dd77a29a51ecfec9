"""Range exports over HTTP: every file, read by an independent reader, equals the database."""

import json
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient

from accounts.models import AuditEvent
from metrics.history.tiers import BY_NAME
from tests.exports import rows
from tests.exports.conftest import Lab
from tests.exports.readers import READERS

PLAIN = [
    "timestamp",
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "gpu_percent",
    "gpu_memory_percent",
    "gpu_temperature_c",
    "gpu_power_watts",
    "network_rx_bytes_per_second",
    "network_tx_bytes_per_second",
]
_SHORT = (
    "cpu",
    "memory",
    "disk",
    "gpu",
    "gpu_memory",
    "gpu_temperature",
    "gpu_power",
    "network_rx",
    "network_tx",
)
BANDS = ["timestamp", *(f"{name}_{part}" for name in _SHORT for part in ("avg", "min", "max"))]
# Range, tier, distance of its rows, header.
RANGES = [
    ("24h", "raw", timedelta(seconds=20), PLAIN),
    ("7d", "hourly", timedelta(hours=1), PLAIN),
    ("30d", "hourly", timedelta(hours=1), BANDS),
    ("12m", "daily", timedelta(days=1), BANDS),
]


@pytest.fixture(autouse=True)
async def _no_connection_left(lab: Lab) -> AsyncIterator[None]:
    """Views of asynchronous requests run in a thread of their own, which keeps its connection."""
    yield
    await sync_to_async(connections.close_all)()


async def fetch(lab: Lab, role: str = "viewer", **query: Any) -> tuple[Any, bytes]:
    path = f"/api/v1/connections/{lab.machine.pk}/metrics/export"
    bearer = {"Authorization": f"Bearer {lab.tokens[role]}"}
    answer: Any = await AsyncClient().get(path, query, headers=bearer)
    if not answer.streaming:
        return answer, answer.content
    data = b"".join([piece async for piece in answer.streaming_content])
    answer.close()
    return answer, data


def expected(stored: list[rows.Row], header: list[str]) -> list[dict[str, Any]]:
    """What a file has to hold, from what was written into the table."""
    sources = [f"{metric}_avg" for metric in rows.METRICS]
    if header is BANDS:
        sources = [f"{m}_{part}" for m in rows.METRICS for part in ("avg", "min", "max")]
    return [
        {"timestamp": row["at"].strftime("%Y-%m-%dT%H:%M:%S.000Z")}
        | {name: row[source] for name, source in zip(header[1:], sources, strict=True)}
        for row in stored
    ]


def single(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The numbers with the 32 bits that the database keeps of them."""
    return [{name: _single(value) for name, value in row.items()} for row in table]


def _single(value: object) -> object:
    return struct.unpack("f", struct.pack("f", value))[0] if isinstance(value, float) else value


def _now(step: timedelta) -> datetime:
    """The last row of a tier that has certainly been written."""
    seconds = step.total_seconds()
    now = datetime.now(UTC) - step
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


@pytest.mark.parametrize("format_", READERS)
@pytest.mark.parametrize(("name", "tier", "step", "header"), RANGES)
async def test_a_file_equals_the_database(
    lab: Lab, name: str, tier: str, step: timedelta, header: list[str], format_: str
) -> None:
    stored = rows.made_up(rows.every(step, 40, _now(step)))
    await sync_to_async(rows.insert)(lab.machine, BY_NAME[tier], stored)
    answer, data = await fetch(lab, range=name, format=format_)
    assert answer.status_code == 200
    read = READERS[format_](data)
    assert [list(row) for row in read][:1] == [header]
    assert single(read) == single(expected(stored, header))


@pytest.mark.parametrize("format_", READERS)
async def test_without_data_there_is_the_header_alone(lab: Lab, format_: str) -> None:
    answer, data = await fetch(lab, range="24h", format=format_)
    assert answer.status_code == 200
    assert READERS[format_](data) == []
    if format_ == "csv":
        assert data.decode() == ",".join(PLAIN) + "\n"
    if format_ == "json":
        assert b'"data_points":[]' in data


async def test_a_zero_is_a_zero_and_an_absent_value_an_empty_cell(lab: Lab) -> None:
    row = {"at": _now(timedelta(seconds=20)), "cpu_percent_avg": 0.0, "disk_percent_avg": 37.5}
    await sync_to_async(rows.insert)(lab.machine, BY_NAME["raw"], [row])
    _, data = await fetch(lab, range="24h", format="csv")
    assert data.decode().splitlines()[1].split(",", 1)[1] == "0,,37.5,,,,,,"


async def test_names_and_headers(lab: Lab) -> None:
    answer, _ = await fetch(lab, range="30d", format="parquet")
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    assert answer["Content-Disposition"] == (
        f'attachment; filename="{lab.machine.pk}-metrics-30d-{day}.parquet"'
    )
    assert answer["Content-Type"] == "application/vnd.apache.parquet"


@pytest.mark.parametrize("name", ['=cmd|"/c calc"!A1', "a\nb", "</script><b>", "\\", "ü“”"])
async def test_a_hostile_name_is_only_text(lab: Lab, name: str) -> None:
    lab.machine.name = name
    await lab.machine.asave()
    for format_, read in READERS.items():
        answer, data = await fetch(lab, range="24h", format=format_)
        assert name not in answer["Content-Disposition"]
        assert read(data) == []
    _, data = await fetch(lab, range="24h", format="json")
    told = json.loads(data)
    assert told["server_name"] == name
    assert told["server_id"] == str(lab.machine.pk)
    assert (told["range"], told["tier"], told["resolution_seconds"]) == ("24h", "raw", 20)
    assert told["units"]["gpu_power_watts"] == "watts"
    assert told["exported_at"].endswith("Z")


async def test_a_span_of_ones_own(lab: Lab) -> None:
    stored = rows.made_up(rows.every(timedelta(hours=1), 5, datetime(2026, 11, 2, 4, tzinfo=UTC)))
    await sync_to_async(rows.insert)(lab.machine, BY_NAME["hourly"], stored)
    span = {"start": "2026-11-02T01:00:00Z", "end": "2026-11-02T04:00:00+01:00"}
    answer, data = await fetch(lab, **span, tier="hourly")
    assert [row["timestamp"][11:13] for row in READERS["csv"](data)] == ["01", "02"]
    assert "-metrics-20261102T010000Z_20261102T030000Z-" in answer["Content-Disposition"]
    assert data.decode().splitlines()[0].split(",") == BANDS


async def test_one_gpu_beside_the_machines_own_numbers(lab: Lab) -> None:
    moments = rows.every(timedelta(seconds=20), 6, _now(timedelta(seconds=20)))
    machine, gpu = rows.made_up(moments), rows.made_up(moments[2:], seed=2)
    await sync_to_async(rows.insert)(lab.machine, BY_NAME["raw"], machine)
    await sync_to_async(rows.insert)(lab.machine, BY_NAME["raw"], gpu, gpu=3)
    _, data = await fetch(lab, range="24h", gpu="3", format="json")
    missing = dict.fromkeys(gpu[0])
    merged = [
        own | {name: value for name, value in of_gpu.items() if name.startswith("gpu_")}
        for own, of_gpu in zip(machine, [missing, missing, *gpu], strict=True)
    ]
    assert single(READERS["json"](data)) == single(expected(merged, PLAIN))


@pytest.mark.parametrize(
    "query",
    [
        {"range": "999y"},
        {"range": "24h", "format": "exe"},
        {"end": "2026-11-02T01:00:00Z"},
        {"start": "0001-01-01T00:00:00+23:00", "end": "2026-11-03T01:00:00Z"},
        {"start": "2026-11-02T01:00:00Z", "end": "2026-11-02T01:00:00Z"},
        {"start": "yesterday", "end": "today"},
        {"range": "24h", "start": "2026-11-02T01:00:00Z", "end": "2026-11-03T01:00:00Z"},
        {"range": "24h", "tier": "raw"},
        {"range": "24h", "gpu": "-1"},
        {"range": "24h", "gpu": "0;DROP"},
    ],
)
async def test_what_makes_no_sense_is_refused(lab: Lab, query: dict[str, str]) -> None:
    answer, _ = await fetch(lab, **query)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 200), ("operator", 200), ("stranger", 404)]
)
async def test_who_may(lab: Lab, role: str, status: int) -> None:
    answer, _ = await fetch(lab, role, range="24h")
    assert answer.status_code == status


async def test_a_download_is_written_down(lab: Lab) -> None:
    await fetch(lab, range="24h", format="json")
    row = await AuditEvent.objects.aget(action="export.download")
    assert (row.object_id, row.detail["range"]) == (str(lab.machine.pk), "24h")
