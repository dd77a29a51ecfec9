"""A configuration's text as people see it: each secret value starred out, all else as written.

What is sent back with the stars still in place keeps its stored value, letter by letter. Pure;
texts that are no JSON pass as they are.
"""

from core.errors import Invalid
from core.security.secret_names import MASK, Path, fits, hidden, still_masked
from projects import config, json_lines

_STARS = f'"{MASK}"'
_OTHER_STARS = f'"{MASK} (changed)"'


def shown(text: str, before: str | None = None) -> str:
    """The text with stars; with `before`, a value that differs from the one there says so."""
    spans = _secrets(text)
    if before is None:
        return _spliced(text, dict.fromkeys(spans.values(), _STARS))
    old = {path: before[start:end] for path, (start, end) in _secrets(before).items()}
    return _spliced(
        text,
        {
            (start, end): _STARS if text[start:end] in (old.get(path), _STARS) else _OTHER_STARS
            for path, (start, end) in spans.items()
        },
    )


def kept(sent: str, stored: str) -> str:
    """The text with the stored values behind its stars; `Invalid` for stars without a value."""
    if len(sent) > config.LIMIT_BYTES:
        return sent  # `config.check` refuses it, without reading it
    new, old = json_lines.read(sent), json_lines.read(stored)
    if new.problems or new.value is None:
        return sent
    values = {path: stored[slice(*old.spans[path])] for path, _ in hidden(old.value)}
    masked = {path for path, value in hidden(new.value) if value == MASK}
    known = {path for path in masked & values.keys() if fits(path, new.value, old.value)}
    text = _spliced(sent, {new.spans[path]: values[path] for path in known})
    refuse_stars(json_lines.read(text).value, "config")
    return text


def refuse_stars(value: object, field: str) -> None:
    """`Invalid` where stars stand for a value that is not known here."""
    if (path := still_masked(value)) is not None:
        place = ".".join(map(str, path))[:200]
        raise Invalid.field(field, f"The value of {place} came masked; give it again.")


def _secrets(text: str) -> dict[Path, tuple[int, int]]:
    document = json_lines.read(text)
    return {path: document.spans[path] for path, _ in hidden(document.value)}


def _spliced(text: str, parts: dict[tuple[int, int], str]) -> str:
    """The text with other words at these places, which do not overlap."""
    found, at = [], 0
    for (start, end), word in sorted(parts.items()):
        found += [text[at:start], word]
        at = end
    return "".join([*found, text[at:]])
