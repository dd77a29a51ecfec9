"""JSON that a tool printed between other lines, as AMD's tools do when a card misbehaves."""

import json
from typing import Any

MAX_GPUS = 64
# An index beyond it is a machine's nonsense, not a card.
MAX_INDEX = 255
# Ten times what the tools print of eight cards.
MAX_CHARACTERS = 1024 * 1024


def load_json(text: str) -> Any:
    """The JSON value inside `text`, warnings around it dropped.

    Raises `ValueError` where there is none, or an incomplete one.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError("the output is too large")
    starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    ends = max(text.rfind("}"), text.rfind("]"))
    for start in sorted(starts):
        try:
            return json.loads(text[start : ends + 1])
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        except ValueError:
            continue
    raise ValueError("no complete JSON")
