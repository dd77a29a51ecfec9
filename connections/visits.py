"""What people have machines asked while they wait: a few log-ins at once for each of them.

A machine that is slow to answer keeps a thread of the site, and a place, for up to half a minute.
"""

from typing import Any

from accounts.auth import rate_limits
from accounts.policy import Caller
from connections import diagnose
from connections.models import Connection
from core.web.slots import Place, Places

# Each test may open a connection to any allowed address: enough for people, too few for a scan.
TESTS_PER_MINUTE = 20
VISITS = Places("questions to machines", in_all=32, per_person=4)


def take(caller: Caller) -> Place:
    """A place for one of the caller's questions to a machine; `TooMany` when they have enough."""
    return VISITS.take(caller.user.pk)


def test(caller: Caller, row: Connection) -> dict[str, Any]:
    """The steps of `connections.diagnose`, for who may run them; `TooMany` past either limit."""
    with take(caller):
        rate_limits.allow(caller, "connections.test", TESTS_PER_MINUTE)
        return diagnose.run_steps(row)
