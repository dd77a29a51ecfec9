"""The arithmetic behind the table, and what the table says when a part was left out."""

from dataclasses import replace

import pytest

from bench import history
from bench.figures import (
    Ages,
    Asked,
    Figures,
    Goal,
    History,
    Peer,
    Scale,
    goals,
    per_sample_ms,
    percentile,
)
from bench.report import report
from bench.usage import Memory

MEMORY = Memory(rss_bytes=150 * 1024 * 1024, pss_bytes=None, threads=231)


def make_scale(machines: int = 200, execs_ms: float | None = 2.0) -> Scale:
    others = {"beat": 0.1, "redis": 0.2, "postgres": 0.3}
    return Scale(machines, 0.8, 0.4, others, 0.995, MEMORY, 4.2, execs_ms)


def test_cpu_is_shared_among_the_samples() -> None:
    assert per_sample_ms(1.5, 1000) == 1.5


def test_a_window_without_samples_has_no_figure() -> None:
    with pytest.raises(ValueError, match="no sample"):
        per_sample_ms(1.0, 0)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0), (0, 1.0)]
)
def test_percentiles_are_values_that_occurred(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_the_only_value_is_every_percentile() -> None:
    assert percentile([7.0], 95) == 7.0


def test_goals_compare_within_one_run() -> None:
    figures = Figures(
        [make_scale(50, None), make_scale()],
        Ages(50, 50, [10.0, 300.0], 0.1),
        Peer("0.3.0", 50, 1.0, 0.8, 2.0, 2.1),
    )
    found = {goal.text: (goal.figure, goal.verdict) for goal in goals(figures)}
    assert found == {
        "keeper / floor at 200 machines": (2.0, "met"),
        "keeper / exec per poll at 200 machines": (0.4, "met"),
        "keeper / gpustat-web behind real sshds": (1.25, "MISSED"),
        "keeper's read to browser, p95 in ms": (300.0, "MISSED"),
    }


def test_a_part_that_was_left_out_is_said_and_not_counted() -> None:
    figures = Figures([make_scale(execs_ms=None)])
    verdicts = [goal.verdict for goal in goals(figures)]
    assert verdicts == ["met", "not measured", "not measured", "not measured"]


def test_equal_to_the_limit_is_met() -> None:
    assert Goal("", 2.5, 2.5).verdict == "met"


def test_the_table_shows_the_tree_beside_the_keeper() -> None:
    text = report(Figures([make_scale()]))
    rows = [line.rsplit(maxsplit=1) for line in text.splitlines() if line]
    cells = {row[0].strip(): row[1] for row in rows if len(row) == 2}
    assert cells["whole tree without web, ms"] == "1.40"
    assert cells["keeper / floor"] == "2.00"
    assert cells["keeper's memory, RSS MiB"] == "150"
    assert cells["keeper's memory, PSS MiB"] == "-"
    assert cells["samples that came, of those due"] == "99.5%"


def make_history(copy_seconds: float | None = 4.0) -> History:
    ranges = {
        "1h": Asked([4.0, 60.0], [1.0], 900, [2.0]),
        "24h": Asked([20.0], [9.0, 10.0], 15_000, [3.0]),
    }
    return History(1_576_800, 20.0, copy_seconds, 10.0, 9125, ranges, None)


def test_a_year_has_its_rows_per_second_and_its_slowest_range() -> None:
    text = report(Figures(history=make_history()))
    assert "1,576,800 windows" in text
    assert "78,840" in text
    assert "394,200" in text
    beside = replace(make_history(), prometheus_ms={"1h": [7.0], "24h": [8.0]})
    assert history.lines(beside)[-1] == (
        "24h",
        ["20.0 ms", "10.0 ms", "15,000", "3.0 ms", "8.0 ms"],
    )
    assert [(goal.figure, goal.verdict) for goal in history.goals(make_history())] == [
        (60.0, "MISSED"),
        (10.0, "met"),
    ]


def test_without_psql_there_is_no_figure_beside_ours() -> None:
    lines = dict(history.lines(make_history(copy_seconds=None)))
    assert lines["psql \\copy of the same rows, one transaction"] == ["-"]
    assert {goal.verdict for goal in history.goals(None)} == {"not measured"}
