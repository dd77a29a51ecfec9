"""What a person chooses for themselves: which events by which way, and when it is quiet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time

from accounts.models import User
from core.errors import Invalid
from notifications.kinds import KINDS, Kind, Way
from notifications.models import Choice, QuietHours

PERSONAL = (Way.PAGE, Way.EMAIL)


@dataclass(frozen=True, slots=True)
class Line:
    """A kind of event and the person's wish for each way; None where the way is not open."""

    kind: Kind
    page: bool | None
    email: bool | None


def lines(user: User) -> list[Line]:
    """The table of choices, defaults filled in."""
    chosen = {
        (choice.kind, choice.way): choice.wanted for choice in Choice.objects.filter(user=user)
    }

    def wish(kind: Kind, way: Way) -> bool | None:
        return chosen.get((kind.name, way), way in kind.wanted) if way in kind.ways else None

    return [Line(kind, wish(kind, Way.PAGE), wish(kind, Way.EMAIL)) for kind in KINDS]


def choose(user: User, wishes: Mapping[tuple[str, Way], bool]) -> None:
    """Keep these wishes; kinds that are not named stay as they are."""
    rows = [
        Choice(user=user, kind=kind.name, way=way, wanted=wishes[kind.name, way])
        for kind in KINDS
        for way in PERSONAL
        if way in kind.ways and (kind.name, way) in wishes
    ]
    Choice.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["user", "kind", "way"],
        update_fields=["wanted"],
    )


def set_quiet_hours(user: User, starts: time | None, ends: time | None) -> None:
    """When e-mail waits; None for both ends that. `Invalid` for half of it."""
    if (starts is None) != (ends is None):
        raise Invalid.field("ends" if ends is None else "starts", "Give both times, or none.")
    if starts is None or ends is None:
        QuietHours.objects.filter(user=user).delete()
    else:
        hours = {"starts": starts, "ends": ends}
        QuietHours.objects.update_or_create(user=user, defaults=hours)
