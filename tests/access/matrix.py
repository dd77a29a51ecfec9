"""The access matrix: what each address and each topic answers to each actor.

`tests/access/*.csv` holds what was agreed; `DGX_WRITE_MATRIX=1 make test
PYTEST_ARGS=tests/access` writes it anew, for a reviewer to read in the difference.
"""

import csv
import os
from pathlib import Path

from tests.access.cast import ACTORS

FOLDER = Path(__file__).resolve().parent

# route or socket, method or verb → the answer for each actor
Matrix = dict[tuple[str, str], dict[str, str]]


def compare(name: str, seen: Matrix) -> list[str]:
    """Every cell that is not as the file says, also one that stands on one side alone."""
    path = FOLDER / name
    if os.environ.get("DGX_WRITE_MATRIX"):
        _write(path, seen)
    listed = _read(path)
    return [
        f"{' '.join(key)}: {actor}: {_cell(listed, key, actor)} in the file, "
        f"{_cell(seen, key, actor)} seen"
        for key in sorted(listed.keys() | seen.keys())
        for actor in ACTORS
        if _cell(listed, key, actor) != _cell(seen, key, actor)
    ]


def _cell(matrix: Matrix, key: tuple[str, str], actor: str) -> str:
    return matrix.get(key, {}).get(actor, "nothing")


def _read(path: Path) -> Matrix:
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["address"], row["method"]): {actor: row[actor] for actor in ACTORS}
            for row in csv.DictReader(file)
        }


def _write(path: Path, matrix: Matrix) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["address", "method", *ACTORS])
        for key, cells in sorted(matrix.items()):
            writer.writerow([*key, *(cells[actor] for actor in ACTORS)])
