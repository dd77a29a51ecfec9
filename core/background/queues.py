"""The two queues of the site: one worker takes from `celery`, every keeper hears `tick`."""

from typing import Any

from kombu.entity import Exchange

TICK = Exchange("tick", type="fanout")

# A broadcast queue is not declared by who sends: without `declare`, kombu's Redis transport takes
# the exchange for a direct one, finds no binding, and drops every message without an error.
BROADCAST: dict[str, Any] = {"queue": "tick", "declare": [TICK]}
