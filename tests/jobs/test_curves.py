"""Curves from a log: whole runs in bounded room, the same however the log was cut."""

import random
import time
from itertools import pairwise

import orjson

from jobs.tracking.curves import MOST_NAMES, MOST_POINTS, Curves


def read(text: bytes, cuts: list[int] | None = None) -> Curves:
    """As it is read in pieces that end at `cuts`, stored and taken up again between them."""
    curves, offset = Curves(), 0
    for end in [*(cuts or []), len(text)]:
        read = curves.read(text[offset:end], offset, [], is_end=end == len(text))
        offset += read
        curves = Curves.from_dict(orjson.loads(orjson.dumps(curves.as_dict())))
    return curves


def test_keeps_step_value_and_when_it_came() -> None:
    curves = Curves()
    text = b"loss=3\nhello\nloss=2.5 step=40\r\nloss=nan step=50\n"
    assert curves.read(text, 1000, [[990, 1], [1007, 2]], is_end=False) == len(text)
    assert curves.by_name["loss"].points == [(0, 3.0, 1), (40, 2.5, 2), (50, None, 2)]


def test_waits_for_the_end_of_a_line() -> None:
    curves = Curves()
    assert curves.read(b"loss=1\nloss=2", 0, [], is_end=False) == 7
    assert curves.last_values() == {"loss": 1.0}
    assert curves.read(b"loss=25", 7, [], is_end=True) == 7
    assert curves.last_values() == {"loss": 25.0}


def test_moves_on_through_empty_lines_and_gives_up_one_without_end() -> None:
    assert Curves().read(b"\n" * 100, 0, [], is_end=False) == 100
    assert Curves().read(b"x" * 100_000, 0, [], is_end=False) == 100_000


def test_bar_that_is_painted_over_is_a_curve() -> None:
    text = b"".join(b"\r%d%%|#| %d/100 [00:01<00:02, 9it/s, loss=%d]" % (n, n, n) for n in range(9))
    curves = read(text)
    assert [step for step, _, _ in curves.by_name["loss"].points] == list(range(9))
    assert curves.progress is not None
    assert curves.progress.percent == 8


def test_is_the_same_however_it_was_cut() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    generator = random.Random(seed)
    text = b"".join(b"step=%d loss=%d\n" % (n, n * n) for n in range(3 * MOST_POINTS))
    cuts = sorted(generator.sample(range(1, len(text)), 20))
    assert read(text, cuts) == read(text)


def test_long_run_is_thinned_and_spans_all_of_it() -> None:
    count = 10 * MOST_POINTS + 3
    curve = read(b"".join(b"a=%d\n" % n for n in range(count))).by_name["a"]
    assert MOST_POINTS / 2 <= len(curve.points) <= MOST_POINTS
    steps = [step for step, _, _ in curve.points]
    assert {b - a for a, b in pairwise(steps)} == {16}
    shown = curve.shown(100)
    assert (len(shown), shown[0][0], shown[-1][0]) == (100, 0, count - 1)


def test_takes_so_many_names() -> None:
    names = read(b"".join(b"n%d=1\n" % n for n in range(3 * MOST_NAMES))).by_name
    assert len(names) == MOST_NAMES


def test_ten_mebibytes_take_seconds_not_minutes() -> None:
    line = b"2026-11-22 12:00:00 INFO step=%d loss=0.51 lr=1e-4 tokens_per_second=12345.6\n"
    text = b"".join(line % n for n in range(10 * 2**20 // len(line)))
    begun = time.process_time()
    read(text)
    seconds = time.process_time() - begun
    print(f"{len(text) / seconds / 2**20:.1f} MiB/s")
    assert seconds < 20
