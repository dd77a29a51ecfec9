"""CSV lines into a SQLite file with one table, `metrics`, of the same columns."""

import csv
import io
import sqlite3
from pathlib import Path

from exports.columns import TIMESTAMP
from exports.plan import Plan

# It is built once and read afterwards: nothing has to survive a power cut half-way.
_QUICK = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"


class Writer:
    """The file at `path`. Calls may come from several threads, one after the other."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self._file = sqlite3.connect(path, check_same_thread=False)
        self._file.executescript(_QUICK)
        numbers = ", ".join(f'"{column.name}" REAL' for column in plan.columns)
        self._file.execute(f"CREATE TABLE metrics ({TIMESTAMP} TEXT PRIMARY KEY, {numbers})")
        places = ", ".join("?" * (len(plan.columns) + 1))
        self._insert = f"INSERT INTO metrics VALUES ({places})"  # noqa: S608  # nosec B608

    def add(self, lines: bytes) -> None:
        """Whole CSV lines without a header; an empty cell is a NULL, a number becomes a REAL."""
        rows = csv.reader(io.StringIO(lines.decode("ascii")))
        self._file.executemany(self._insert, ([cell or None for cell in row] for row in rows))
        self._file.commit()

    def close(self) -> None:
        self._file.close()
