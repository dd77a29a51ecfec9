"""Figures in the lines of a log: each way to print them, and what only looks like one."""

import orjson
import pytest

from jobs.tracking import parse as tracking_parse
from jobs.tracking.curves import Curves
from jobs.tracking.parse import Progress


@pytest.mark.parametrize(
    ("line", "step", "values"),
    [
        ("step=100 loss=0.51 lr=1e-4", 100, {"loss": 0.51, "lr": 1e-4}),
        ("[INFO] train: step = 7, loss = -.5, acc=93.5%", 7, {"loss": -0.5, "acc": 93.5}),
        ("loss=nan grad=inf", None, {"loss": None, "grad": None}),
        ("\x1b[32mloss=1_000\x1b[0m", None, {"loss": 1000.0}),
        ('{"step": 3, "loss": 0.25, "done": true}', 3, {"loss": 0.25}),
        ('{"global_step": 3, "train": {"loss": NaN}}', 3, {"train/loss": None}),
        (
            "{'loss': 0.5, 'grad_norm': nan, 'learning_rate': 5e-05, 'epoch': 0.1}",
            None,
            {"loss": 0.5, "grad_norm": None, "learning_rate": 5e-05, "epoch": 0.1},
        ),
        ("{'loss': '0.5', 'epoch': '0.1'}", None, {"loss": 0.5, "epoch": 0.1}),
        ("│         test_acc          │    0.9811000227928162     │", None,
         {"test_acc": 0.9811000227928162}),
        (
            "Epoch 2:  45%|####5     | 45/100 [00:30<00:36, 15.01it/s, v_num=0, train_loss=0.512]",
            245,
            {"train_loss": 0.512},
        ),
    ],
)  # fmt: skip
def test_reads(line: str, step: int | None, values: dict[str, float | None]) -> None:
    found = tracking_parse.of_line(line)
    assert (found.step, dict(found.values)) == (step, values)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "listening on localhost:8080",
        "date=2026-11-22 time=12:30:45 host=10.0.0.1 version=1.2.3 sha=12ab",
        "a==1 and x.y==2",
        '{"loss": "low", "deep": {"a": {"b": {"c": 1}}}}',
        "{1: 2}",
        "{" * 5000 + "}",
        '{"loss": ' + "[" * 100_000 + "}",
        "{__import__('os').system('true')}",
        "x" * 70 + "=1",
        "loss=1" + " " * tracking_parse.LONGEST_LINE,
    ],
)
def test_leaves_alone(line: str) -> None:
    found = tracking_parse.of_line(line)
    assert not found.values
    assert found.progress is None


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        (
            " 45%|████▌     | 450/1000 [00:30<00:36, 15.00it/s]",
            Progress(45, 450, 1000, 15.0, 36),
        ),
        ("50%|█| 1/2 [00:30<1:00:36, 4.00s/it]", Progress(50, 1, 2, 0.25, 3636)),
        ("  0%|          | 0/10 [00:00<?, ?it/s]", Progress(0, 0, 10, None, None)),
        ("10%|# | 1.5k/15.0k [00:01<00:09, 1.50kit/s]", Progress(10, 1500, 15000, 1500.0, 9)),
    ],
)
def test_reads_how_far_a_bar_is(line: str, progress: Progress) -> None:
    assert tracking_parse.of_line(line).progress == progress


@pytest.mark.parametrize(
    "line",
    [
        f"50%|x| {'9' * 300}G/1 [00:01<00:02, 1it/s]",
        f"50%|x| {'9' * 30}/1 [00:01<00:02, 1it/s] loss=1",
        "Epoch 99999999: 50%|x| 1/9999999999999999 [00:01<00:02, 1it/s] loss=1",
        f"50%|x| 1/2 [00:01<{'9' * 5000}, 1it/s] loss=1",
        f"50%|x| 1/2 [00:01<{'9' * 400}, 1it/s] loss=1",
        f"50%|x| 1/2 [00:01<{'9:' * 300}9, 1it/s] loss=1",
        f"50%|x| 1/2 [00:01<00:02, {'9' * 305}Git/s] loss=1",
        f"50%|x| 1/2 [00:01<00:02, 0.{'0' * 310}1s/it] loss=1",
    ],
)
def test_no_bar_is_too_large_to_be_kept(line: str) -> None:
    curves = Curves()
    assert curves.read(line.encode(), 0, [], is_end=True) == len(line)
    assert Curves.from_dict(orjson.loads(orjson.dumps(curves.as_dict()))) == curves
