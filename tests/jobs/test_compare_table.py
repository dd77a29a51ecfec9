"""The table of a comparison: what differs, what is best, and how far runs are from the first."""

from typing import Any

import pytest

from jobs.compare.config_paths import flat
from jobs.compare.table import Group, Printed, Row, Run, last_of, table
from jobs.tracking import better


def make_run(name: str = "run", **fields: Any) -> Run:
    empty: dict[str, Any] = {"facts": {}, "settings": {}, "printed": {}, "used": {}}
    return Run(id=name, name=name, **(empty | fields))


def group(groups: list[Group], key: str) -> Group:
    return next(one for one in groups if one.key == key)


def row(groups: list[Group], key: str) -> Row:
    return next(one for each in groups for one in each.rows if one.key == key)


def test_only_settings_that_differ_are_told_unless_asked() -> None:
    runs = [
        make_run(settings={"command": "python a.py", "config.lr": 0.1}),
        make_run(settings={"command": "python a.py", "config.lr": 0.2, "config.depth": 3}),
    ]
    settings = group(table(runs), "settings")
    assert [(one.key, one.values) for one in settings.rows] == [
        ("config.lr", (0.1, 0.2)),
        ("config.depth", (None, 3)),
    ]
    assert settings.hidden == 1
    every = group(table(runs, with_equal=True), "settings")
    assert (every.rows[0].key, every.hidden) == ("command", 0)
    alone = group(table(runs[:1]), "settings")
    assert (len(alone.rows), alone.hidden) == (2, 0)


def test_the_last_and_the_telling_extreme_of_a_value_have_a_best() -> None:
    printed = [Printed(0.5, 0.4, 2.0), Printed(0.3, 0.3, 3.0), Printed(None, None, None)]
    groups = table([make_run(printed={"loss": one}) for one in printed] + [make_run()])
    assert row(groups, "loss.last").values == (0.5, 0.3, None, None)
    assert row(groups, "loss.last").best == (1,)
    assert row(groups, "loss.min").best == (1,)
    assert row(groups, "loss.max").best == ()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("loss", "lower"),
        ("trainLoss", "lower"),
        ("eval/accuracy", "higher"),
        ("val_acc1", "higher"),
        ("macro-F1", "higher"),
        ("F1Score", "higher"),
        ("accuracy_loss", "lower"),
        ("WER", "lower"),
        ("lr", None),
        ("accumulated", None),
        ("closs", None),
        ("", None),
    ],
)
def test_the_name_says_which_way_is_better(name: str, wanted: str | None) -> None:
    assert better.of_name(name) == wanted


@pytest.mark.parametrize(
    ("values", "lower", "higher"),
    [
        ([1.0, 2.0, 1.0], (0, 2), (1,)),
        ([1.0, None, 2.0], (0,), (2,)),
        ([1.0, 1.0], (), ()),
        ([None, 1.0], (), ()),
        ([], (), ()),
    ],
)
def test_the_best_are_those_that_no_other_beats(
    values: list[float | None], lower: tuple[int, ...], higher: tuple[int, ...]
) -> None:
    assert better.best(values, "lower") == lower
    assert better.best(values, "higher") == higher
    assert better.best(values, None) == ()


def test_uses_are_measured_against_the_first_run() -> None:
    energies = [10.0, 15.0, None, 0.0]
    groups = table([make_run(used={"energy_wh": value, "cost": None}) for value in energies])
    assert row(groups, "energy_wh").differences == (None, 50.0, None, -100.0)
    assert [one.key for one in group(groups, "used").rows] == ["energy_wh"]
    unmeasured = table([make_run(used={"energy_wh": value}) for value in (None, 15.0)])
    assert row(unmeasured, "energy_wh").differences == (None, None)


def test_facts_that_no_run_has_are_left_out_and_zero_is_a_fact() -> None:
    groups = table([make_run(facts={"exit_code": 0, "status": "completed"}), make_run()])
    keys = [one.key for one in group(groups, "run").rows]
    assert keys == ["status", "exit_code"]
    assert row(groups, "exit_code").values == (0, None)


def test_no_runs_make_no_table() -> None:
    assert table([]) == []


def test_a_configuration_is_laid_flat_without_losing_what_differs() -> None:
    config = {
        "optimizer": {"lr": 0.1, "name": "adam", "warm up": None},
        "layers": [64, 64],
        "stages": [{"epochs": 3}, []],
        "empty": {},
        "a.b": 1,
        "a": {"b": "1"},
        "flag": True,
    }
    assert flat(config) == {
        "config.optimizer.lr": 0.1,
        "config.optimizer.name": '"adam"',
        'config.optimizer["warm up"]': "null",
        "config.layers": "[64, 64]",
        "config.stages[0].epochs": 3,
        "config.stages[1]": "[]",
        "config.empty": "{}",
        'config["a.b"]': 1,
        "config.a.b": '"1"',
        "config.flag": "true",
    }
    assert flat({}) == {}


def test_a_value_that_ends_as_no_number_has_no_last_one() -> None:
    assert last_of([3.0, 1.0, None]) == Printed(None, 1.0, 3.0)
    assert last_of([None]) == Printed(None, None, None)
