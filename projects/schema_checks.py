"""Checks of configurations against a schema, a few at once for each person.

Each is a process of its own for up to ten seconds; without a schema there is none.
"""

from accounts.auth import rate_limits
from accounts.policy import Caller
from core.web.slots import Places
from projects import config
from projects.config import Written

CHECKS = Places("checks of configurations", in_all=8, per_person=2)
CHECKS_PER_MINUTE = 60


def check(caller: Caller, config_text: str, schema_text: str) -> Written:
    """As `config.check`; `TooMany` when this person has enough of them."""
    if not schema_text.strip():
        return config.check(config_text, schema_text)
    with CHECKS.take(caller.user.pk):
        rate_limits.allow(caller, "schemas.check", CHECKS_PER_MINUTE)
        return config.check(config_text, schema_text)
