"""Each format read back by a library that has nothing to do with the code that wrote it."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet

Table = list[dict[str, Any]]


def _csv(data: bytes) -> Table:
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))
    return [{name: _cell(name, text) for name, text in row.items()} for row in rows]


def _cell(name: str, text: str) -> object:
    if name == "timestamp":
        return text
    return None if text == "" else float(text)


def _json(data: bytes) -> Table:
    points: Table = json.loads(data)["data_points"]
    return points


def _parquet(data: bytes) -> Table:
    rows: Table = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    return [row | {"timestamp": _z(row["timestamp"])} for row in rows]


def _z(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _sqlite(data: bytes) -> Table:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "read.sqlite"
        path.write_bytes(data)
        file = sqlite3.connect(path)
        file.row_factory = sqlite3.Row
        rows = [dict(row) for row in file.execute("SELECT * FROM metrics ORDER BY timestamp")]
        file.close()
        return rows


READERS: dict[str, Callable[[bytes], Table]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
    "sqlite": _sqlite,
}
