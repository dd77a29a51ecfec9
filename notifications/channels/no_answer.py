"""What is told of a receiver that gives no answer of HTTP: one sentence, after one time.

Administrators of any team name addresses. Were a closed port told in other words than one that a
firewall drops, one that speaks something else or one whose TLS is broken – or sooner –, a channel's
test would be a scanner of the network that the site stands in. The site's log says more.
"""

import logging
import time

from core.web.waiting import outside_database
from notifications.channels.outcome import Outcome

logger = logging.getLogger(__name__)

DETAIL = "The receiver did not answer in time."
# What is waited for beyond a sender's own deadline, which ends a little late by itself.
MARGIN_SECONDS = 0.25


@outside_database()
def outcome(error: object, until: float) -> Outcome:
    """Waits until `until` on the monotonic clock; `error` goes to the log alone."""
    logger.info("no answer: %s", error)
    time.sleep(max(0.0, until + MARGIN_SECONDS - time.monotonic()))
    return Outcome.failed(DETAIL)
