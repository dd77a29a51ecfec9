"""Numbers that a program prints, read from its log: text in, values out. They decide nothing.

Understood are `key=value`, JSON objects on a line of their own, the dictionaries of Hugging Face's
Trainer, Lightning's bars and tables, and tqdm's bars. What looks otherwise is left alone; nothing
here raises for any text.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.tracking import ansi

LONGEST_NAME = 64
# A longer line is no line of figures, and would cost too much to look at.
LONGEST_LINE = 16 * 1024
_DEPTH = 3
_STEPS = ("step", "global_step", "iteration", "iter")
# Lightning's number of the version, on every one of its bars.
_NOISE = frozenset({"v_num"})

# Digits on each side of the point. A match is never given up half way (`(?>…)`, `++`): each
# character of a line is then looked at a bounded number of times, whatever the line.
_DIGITS = 40
_NUMBER = (
    rf"(?>[-+]?(?:\d{{1,{_DIGITS}}}(?:_\d{{3}}){{0,12}}(?:\.\d{{0,{_DIGITS}}})?(?:[eE][-+]?\d{{1,5}})?"
    rf"|\.\d{{1,{_DIGITS}}}(?:[eE][-+]?\d{{1,5}})?|nan|inf(?:inity)?))"
)
_PAIR = re.compile(
    rf"(?<![\w.=/-])([A-Za-z_][\w./-]{{0,{LONGEST_NAME - 1}}}+)\s?=\s?({_NUMBER})"
    r"%?(?![\w.=:-]|,\d)",
    re.IGNORECASE,
)
_TABLE = re.compile(
    rf"\s*+[│┃|]\s*+([A-Za-z_][\w./-]{{0,200}}+)\s*+[│┃|]\s*+({_NUMBER})\s*+[│┃|]\s*+$"
)
_BAR = re.compile(
    r"(?P<percent>\d{1,3})%\|[^|]{0,2000}+\|\s{0,20}(?P<done>[\d.]{1,40}+)(?P<done_unit>[kMG]?)"
    r"/(?P<total>[\d.]{1,40}+)(?P<total_unit>[kMG]?)"
    r"\s{0,20}\[(?P<spent>[\d:]{1,40}+)<(?P<left>[\d:?]{1,40}+)"
    r"(?:,\s{0,20}(?P<rate>[\d.]{1,40}+|\?)(?P<rate_unit>[kMG]?)"
    r"(?P<how>[A-Za-z]{1,20}+/s|s/[A-Za-z]{1,20}+))?"
)
# Texts and words of a Python dictionary; what is inside a text is no word. A text without an end
# goes to the end.
_PYTHON = re.compile(
    r"'(?:[^'\\]|\\.)*+(?:'|\\?$)|\"(?:[^\"\\]|\\.)*+(?:\"|\\?$)|-?[A-Za-z_]++|\(|,?\)"
)
_ESCAPED = re.compile(r"\\(.)")
_SIGNS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "nan": "NaN",
    "-nan": "NaN",
    "inf": "Infinity",
    "-inf": "-Infinity",
    "(": "[",
    ")": "]",
    ",)": "]",
}
_EPOCH = re.compile(r"\bEpoch\s{1,20}(\d{1,20})\b")
# Steps and counts end here, as in JSON; longer parts of a clock are none.
_LARGEST = 2**53
_LONGEST_PART = 9
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a bar is: percent, steps, steps per second, seconds left; None: not told."""

    percent: float
    done: int
    total: int
    rate_per_second: float | None
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What one line says; a value of None is one that is not finite, such as a loss of NaN."""

    step: int | None = None
    values: Mapping[str, float | None] = field(default_factory=dict)
    progress: Progress | None = None


NOTHING = Figures()


def of_line(line: str) -> Figures:
    """The figures of one line, without its end; `NOTHING` where there are none."""
    if len(line) > LONGEST_LINE:
        return NOTHING
    text = ansi.strip(line).strip()
    if text.startswith("{") and text.endswith("}"):
        return _with_step(dict(_flat(_object(text))))
    if "%|" in text and (bar := _BAR.search(text)):
        return _of_bar(text, bar)
    if "=" in text:
        return _with_step({name: _finite(number) for name, number in _PAIR.findall(text)})
    row = _TABLE.match(text)
    return Figures(values={row[1][:LONGEST_NAME]: _finite(row[2])}) if row else NOTHING


def _with_step(values: dict[str, float | None]) -> Figures:
    """Take the step out of the values."""
    step = None
    for name in _STEPS:
        number = values.pop(name, None)
        if step is None and number is not None and 0 <= number < _LARGEST:
            step = int(number)
    return Figures(step, {name: value for name, value in values.items() if name not in _NOISE})


def _object(text: str) -> Any:
    """A JSON object, or a Python dictionary of plain values; None for anything else."""
    for form in (text, _as_json(text)):
        try:
            return json.loads(form)
        except (ValueError, RecursionError):
            continue
    return None


def _as_json(text: str) -> str:
    """A Python dictionary's signs as those of JSON; what else is in it makes it no JSON."""
    return _PYTHON.sub(_sign, text)


def _sign(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] in "'\"":
        return json.dumps(_ESCAPED.sub(r"\1", found[1:-1]))
    return _SIGNS.get(found, found)


def _flat(found: Any, before: str = "", depth: int = 0) -> Iterator[tuple[str, float | None]]:
    """Names and numbers of nested objects: `{"train": {"loss": 1}}` is `train/loss`."""
    if not isinstance(found, dict) or depth >= _DEPTH:
        return
    for key, value in found.items():
        if not isinstance(key, str):
            continue
        if len(before) + len(key) > LONGEST_NAME:
            continue
        name = f"{before}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}/", depth + 1)
        elif _is_figure(value) and name and name.isprintable():
            yield name, _finite(value)


def _is_figure(value: object) -> bool:
    """Numbers, and since Transformers 5 numbers as texts; true and false are none."""
    if isinstance(value, str):
        return re.fullmatch(_NUMBER, value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: str | float) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _of_bar(text: str, bar: re.Match[str]) -> Figures:
    """A bar of tqdm, with what stands in its brackets; Lightning's count from zero each epoch."""
    done, total = (_count(bar[name], bar[f"{name}_unit"]) for name in ("done", "total"))
    values = {name: _finite(number) for name, number in _PAIR.findall(text[bar.end() :])}
    found = _with_step(values)
    epoch = _EPOCH.search(text[: bar.start()])
    step = found.step
    if step is None:
        step = done + (int(epoch[1]) * total if epoch and len(epoch[1]) < 9 else 0)
    progress = Progress(
        min(100.0, float(bar["percent"])), done, total, _rate(bar), _clock(bar["left"])
    )
    return Figures(min(step, _LARGEST), found.values, progress)


def _count(number: str, unit: str) -> int:
    return int(min(_LARGEST, (_finite(number) or 0.0) * _UNITS[unit]))


def _rate(bar: re.Match[str]) -> float | None:
    """Steps per second; slow bars tell seconds per step."""
    rate = _finite(bar["rate"] or "")
    if rate is None:
        return None
    rate *= _UNITS[bar["rate_unit"]]
    if bar["how"].endswith("/s"):
        return _finite(rate)
    return _finite(1.0 / rate) if rate else None


def _clock(text: str) -> float | None:
    """`1:02:03` in seconds; None for `?` and for what is no time."""
    parts = text.split(":")
    if "?" in text or len(parts) > 4 or max(map(len, parts)) > _LONGEST_PART:
        return None
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part or 0)
    return float(seconds)
