"""Names under which secrets stand, and values as they may be shown: starred out below such a name.

For variables any name that sounds secret counts. A configuration has many names that only sound so
(`max_tokens`, `pad_token`, `sort_key`), so there it is the name's last words. What comes back as it
was shown stands for what is stored (`unmasked`). Pure.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

MASK = "********"

Path = tuple[str | int, ...]

_SOUNDS_SECRET = re.compile(
    r"TOKEN|KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL", re.IGNORECASE
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_KEYS = (
    "api|access|private|secret|auth|account|client|encryption|master|service|signing|ssh|license|"
    "openai|anthropic|wandb|hf|huggingface|comet|neptune|aws|azure|gcp|s3|github|gitlab"
)
# Whatever stands below is hidden, numbers too.
_EVERYTHING = re.compile(
    r"(?:^|_)(?:passwords?|passwds?|passphrases?|passcodes?|pwd|secrets?|credentials?|"
    rf"authorization|bearer|cookies?|dsn|connection_string|(?:{_KEYS})_?keys?|"
    r"(?:access|api|auth|bearer|bot|id|refresh|session)_?tokens?)(?:_?\d{1,4}|_value|_text)?$"
)
# A text that stands below is hidden: a `token` may also be counted.
_TEXTS = re.compile(r"(?:^|_)token(?:_?\d{1,4}|_value|_text)?$")
_VOCABULARY = re.compile(
    r"(?:^|_)(?:pad|eos|bos|unk|sep|cls|mask|start|end|stop|image|video|audio|special|begin|prefix|"
    r"suffix|middle|new|first|last|next|end_of_text|eot|eod|eom)_token$"
)
_LONGEST_NAME = 200


class Hides(IntEnum):
    """What a name hides of its value."""

    NOTHING = 0
    TEXTS = 1
    EVERYTHING = 2


def is_secret_variable(name: str) -> bool:
    """Whether a variable of an environment sounds like a secret."""
    return _SOUNDS_SECRET.search(name) is not None


def hides(name: str) -> Hides:
    """What a name of a configuration hides. One in capitals is a variable's."""
    name = name[-_LONGEST_NAME:]
    if name.isupper() and is_secret_variable(name):
        return Hides.TEXTS
    plain = re.sub(r"[^a-z0-9]+", "_", _HUMP.sub("_", name).lower()).strip("_")
    if _EVERYTHING.search(plain):
        return Hides.EVERYTHING
    is_token = _TEXTS.search(plain) and not _VOCABULARY.search(plain)
    return Hides.TEXTS if is_token else Hides.NOTHING


def hidden(value: Any, path: Path = (), below: Hides = Hides.NOTHING) -> Iterator[tuple[Path, Any]]:
    """Each value that is not to be shown, and where it stands."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from hidden(one, (*path, name), max(below, hides(name), _pair(value, name)))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from hidden(one, (*path, number), below)
    elif _is_hidden(value, below):
        yield path, value


def masked(value: Any) -> Any:
    """The same lists and objects with what is hidden starred out."""
    found = dict.fromkeys((path for path, _ in hidden(value)), MASK)
    return _replaced(value, found) if found else value


def unmasked(sent: Any, shown: Any, stored: Any) -> Any:
    """What was sent, with what is stored wherever it came back as it was shown.

    A list of another length is taken as it is: its places may mean other things.
    """
    if isinstance(sent, dict) and isinstance(stored, dict):
        return {
            name: unmasked(one, shown[name], stored[name]) if name in stored else one
            for name, one in sent.items()
        }
    if isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        return [unmasked(*three) for three in zip(sent, shown, stored, strict=True)]
    return stored if isinstance(sent, str) and sent == shown else sent


def still_masked(value: Any) -> Path | None:
    """Where stars stand for a value that nobody knows; None if nowhere."""
    return next((path for path, one in hidden(value) if one == MASK), None)


def uncovered(sent: Any, stored: Any) -> Path | None:
    """Where stars came back below names that hide nothing any more; None if nowhere.

    Whoever renames a neighbour (`{"name": "HF_TOKEN", "value": "…"}`) would read what is stored.
    """
    covered = {path for path, _ in hidden(sent)}
    open_paths = (path for path, _ in hidden(stored) if path not in covered)
    return next((path for path in open_paths if _at(sent, path) == MASK), None)


def _at(value: Any, path: Path) -> Any:
    """What stands there; None if the way leads nowhere."""
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return value


def fits(path: Path, sent: Any, stored: Any) -> bool:
    """Whether every list on the way is as long as it was: else its places mean other things."""
    for step in path:
        if isinstance(step, int) and len(sent) != len(stored):
            return False
        sent, stored = sent[step], stored[step]
    return True


def _pair(parent: dict[str, Any], name: str) -> Hides:
    """`{"name": "HF_TOKEN", "value": "…"}` names its value beside it."""
    named = parent.get("name")
    return hides(named) if name == "value" and isinstance(named, str) else Hides.NOTHING


def _is_hidden(value: Any, below: Hides) -> bool:
    if isinstance(value, str):
        return bool(value) and below >= Hides.TEXTS
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and below >= Hides.EVERYTHING


def _replaced(value: Any, others: dict[Path, Any], path: Path = ()) -> Any:
    if path in others:
        return others[path]
    if isinstance(value, dict):
        return {name: _replaced(one, others, (*path, name)) for name, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, others, (*path, number)) for number, one in enumerate(value)]
    return value
