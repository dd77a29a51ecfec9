"""In which order the names of a program's figures are shown, and which of them at first. Pure."""

from collections.abc import Iterable

# The curves that a page draws before anybody has chosen.
AT_FIRST = 4
# What a run is judged by comes first; a name counts by its parts, as in `train/eval_loss`.
_FIRST = ("loss", "perplexity", "accuracy", "acc", "reward")


def in_order(names: Iterable[str]) -> list[str]:
    """Names like `loss` first, then the other measures of a run, then by alphabet."""
    return sorted(names, key=lambda name: (_rank(name), name.casefold(), name))


def _rank(name: str) -> int:
    lowered = name.casefold()
    return next((rank for rank, word in enumerate(_FIRST) if word in lowered), len(_FIRST))
