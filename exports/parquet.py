"""CSV lines into Parquet, a row group at a time. The only file that imports pyarrow.

pyarrow takes some 40 MB, so this module is imported when somebody asks for Parquet.
"""

import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from exports.columns import TIMESTAMP
from exports.plan import Plan


class _Sink(io.RawIOBase):
    """Takes what the writer writes, and counts it: the writer asks where it is."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


# What a column holds: times are UTC in milliseconds.
_TYPES = {
    "time": pa.timestamp("ms", tz="UTC"),
    "text": pa.string(),
    "whole": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}


class Writer:
    """A file that grows: each call answers the bytes that have been added to it.

    `columns` are names and the kinds of `_TYPES`, `described` goes into the file's metadata. An
    empty cell is a null.
    """

    def __init__(self, columns: Mapping[str, str], described: Mapping[str, str]) -> None:
        fields = [(name, _TYPES[kind]) for name, kind in columns.items()]
        self._schema = pa.schema(fields, dict(described))
        self._sink = _Sink()
        self._writer = pa.parquet.ParquetWriter(pa.PythonFile(self._sink, "w"), self._schema)

    def add(self, lines: bytes) -> bytes:
        """Whole CSV lines without a header, as one row group."""
        table = pa.csv.read_csv(
            io.BytesIO(lines),
            read_options=pa.csv.ReadOptions(column_names=self._schema.names, use_threads=False),
            convert_options=pa.csv.ConvertOptions(column_types=self._schema),
        )
        self._writer.write_table(table.replace_schema_metadata(self._schema.metadata))
        return self._sink.taken()

    def end(self) -> bytes:
        """The footer; nothing may be added afterwards."""
        self._writer.close()
        return self._sink.taken()


def of_plan(plan: Plan) -> Writer:
    """The file of a range export; its numbers have the 32 bits that the history stores."""
    numbers = {column.name: "float32" for column in plan.columns}
    described = {key: str(value) for key, value in plan.described().items()}
    return Writer({TIMESTAMP: "time"} | numbers, described)
