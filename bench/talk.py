"""How a program of the bench reports: a line of JSON when it is ready, then one for each asked.

It ends when its stdin ends, so none outlives the bench, whatever kills that.
"""

import json
import sys
from collections.abc import Callable
from typing import Any


def serve(answer: Callable[[], dict[str, Any]]) -> None:
    """Say that everything is ready, then answer until nobody asks any more."""
    print(json.dumps(answer()), flush=True)
    for _ in sys.stdin:
        print(json.dumps(answer()), flush=True)
