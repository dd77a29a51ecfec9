"""Where a log-in leads: what a stored password is bound to.

The machine itself and every jump host on the way to it, each as its address (as it was given),
port, user and pinned host key. A password is encrypted for one such place, so that a row which is
edited by whatever means – a page, the admin, SQL, a restored backup, code that is yet to be
written – does not send it anywhere else.
"""

import hashlib
import json
from typing import Any, NamedTuple

# A jump host may lie behind another one; more than this is a mistake or a circle.
LONGEST_CHAIN = 4


class Hop(NamedTuple):
    """One machine on the way."""

    id: str
    hostname: str
    port: int
    username: str
    host_key: str


Place = tuple[Hop, ...]


def of(machine: Any) -> Place:
    """The machine's own hop first, then its jump host's, and so on."""
    hops: list[Hop] = []
    while machine is not None and len(hops) <= LONGEST_CHAIN:
        hops.append(
            Hop(
                str(machine.pk),
                machine.hostname,
                int(machine.port),
                machine.username,
                machine.host_key,
            )
        )
        machine = machine.jump_connection
    return tuple(hops)


def digest(place: Place) -> str:
    """A place in 64 characters, equal only for equal places."""
    return hashlib.sha256(json.dumps(place).encode()).hexdigest()


def is_first_acceptance(before: Place, after: Place) -> bool:
    """Whether all that changed is that the machine's own key, unknown so far, is known now.

    Nothing can have been sent there before, and what was to be sent goes to the same place.
    """
    return before != after and without_key(after, before[0].id) == before


def without_key(place: Place, machine_id: str) -> Place:
    """The place as it was before that machine's key was accepted."""
    return tuple(hop._replace(host_key="") if hop.id == machine_id else hop for hop in place)
