"""Runs beside each other over the REST API, with the table and the curves of the page."""

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field

from accounts.auth.callers import caller_of
from core.openapi import Choice
from core.schemas import Output
from jobs.compare import load
from jobs.compare.load import By, Compared, Line
from jobs.compare.table import MOST_RUNS, table

router = Router(tags=["jobs"])

_Value = str | int | float | None


class CompareQuery(BaseModel):
    """Which jobs; `all` also tells the settings in which they agree, `value` asks for curves."""

    model_config = ConfigDict(frozen=True)

    job: Annotated[list[UUID], Field(min_length=1, max_length=MOST_RUNS)]
    all: bool = False
    value: Annotated[str, Field(max_length=200)] = ""
    by: Annotated[By, Choice("CurveAxis")] = "step"


class ColumnOut(Output):
    """One run; `scalars_complete` says whether the whole log so far is in its printed values."""

    id: UUID
    name: str
    scalars_complete: bool


class RowOut(Output):
    """A value per run in base units; `best` are places in it, `differences` percents."""

    key: str
    title: str
    unit: str
    values: list[_Value]
    best: list[int]
    differences: list[float | None]


class GroupOut(Output):
    """`hidden` rows are the same in all runs."""

    key: str
    title: str
    rows: list[RowOut]
    hidden: int


class LineOut(Output):
    """`x` is steps, or seconds since the run's start."""

    x: list[float]
    y: list[float | None]


class ComparisonOut(Output):
    jobs: list[ColumnOut]
    groups: list[GroupOut]
    curves: list[LineOut | None]


@router.get("/compare", response=ComparisonOut)
def compare_jobs(request: HttpRequest, asked: Query[CompareQuery]) -> dict[str, Any]:
    """At most eight jobs: what they are, where their settings differ, values, energy."""
    found = load.read(load.find(caller_of(request), asked.job))
    return {
        "jobs": [_column(one) for one in found],
        "groups": [
            asdict(group) for group in table([one.run for one in found], with_equal=asked.all)
        ],
        "curves": [line and asdict(line) for line in _lines(found, asked)],
    }


def _lines(found: list[Compared], asked: CompareQuery) -> list[Line | None]:
    return load.lines(found, asked.value, asked.by) if asked.value else []


def _column(one: Compared) -> dict[str, Any]:
    return {"id": one.run.id, "name": one.run.name, "scalars_complete": one.is_read}
