"""JSON that a tool printed between other lines, as AMD's tools do when a card misbehaves."""

import json
from typing import Any

MAX_GPUS = 64


def load_json(text: str) -> Any:
    """The JSON value inside `text`, warnings around it dropped.

    Raises `ValueError` where there is none, or an incomplete one.
    """
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
