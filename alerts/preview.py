"""How often a rule would have fired lately: the same evaluation, over the history.

The history holds means of 20 seconds (or, for many machines, of hours), not every reading; so the
answer says how exact it is. What the history does not hold – whether a machine was seen, how long
memory would have lasted – has no preview, and the answer says that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from accounts.policy import Caller
from alerts.evaluation import LONGEST_GAP, Event, State, Trigger, step
from alerts.models import AlertRule
from alerts.quantities import QUANTITIES
from connections.models import Connection
from core.times import iso
from metrics.history import query as history_query
from metrics.history.tiers import HOURLY, RAW, Tier
from metrics.models import GpuIdentity

SPAN = timedelta(days=7)
# As many series are read finely: each is 30,240 rows. Of hours there are 168.
MOST_FINE = 8
MOST_SERIES = 400
MOST_ITEMS = 50


class Place(NamedTuple):
    """One machine, or one GPU of it."""

    connection: Connection
    gpu: int | None


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that there would have been; `end` None: it would still fire."""

    place: Place
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Preview:
    """`firings` None: the history cannot tell. `series` is how many machines or GPUs were read."""

    start: datetime
    end: datetime
    detail: str
    firings: Sequence[Firing] | None = None
    resolution_seconds: int | None = None
    series: int = 0


def of(caller: Caller, rule: AlertRule, now: datetime | None = None) -> Preview:
    """What the last seven days would have brought, on the machines that the caller may see."""
    end = now or timezone.now()
    span = history_query.Span(end - SPAN, end)
    names = [name for name in (rule.metric, rule.and_metric) if name]
    if any(QUANTITIES[name].series is None for name in names):
        return Preview(*span, "The history does not hold this; it is judged live only.")
    places = list(_places(caller, rule))
    tier = RAW if len(places) <= MOST_FINE else HOURLY
    found = [
        firing for place in places[:MOST_SERIES] for firing in _firings(place, rule, span, tier)
    ]
    return Preview(
        *span,
        _detail(len(places), tier),
        sorted(found, key=lambda firing: firing.start),
        tier.resolution_seconds,
        min(len(places), MOST_SERIES),
    )


def as_dict(preview: Preview) -> dict[str, Any]:
    """As the API answers it; of very many firings the newest."""
    firings = preview.firings
    return {
        "firings": None if firings is None else len(firings),
        "start": iso(preview.start),
        "end": iso(preview.end),
        "resolution_seconds": preview.resolution_seconds,
        "series": preview.series,
        "detail": preview.detail,
        "items": [_item(firing) for firing in (firings or ())[-MOST_ITEMS:]],
    }


def firings_of(
    trigger: Trigger, rows: Iterable[tuple[datetime, float | None, float | None]], width: timedelta
) -> Iterator[tuple[datetime, datetime | None]]:
    """When it would have fired and ended, from means over `width` each."""
    # A mean that is a breach has lasted for its width already.
    trigger = replace(trigger, hold=max(timedelta(0), trigger.hold - width))
    state: State | None = None
    start: datetime | None = None
    for at, value, other in rows:
        gap = max(LONGEST_GAP, 2 * width)
        state, event = step(trigger, state, at, value, other, longest_gap=gap)
        if event is Event.FIRED:
            start = at
        elif event is Event.RESOLVED and start is not None:
            yield start, at
            start = None
    if start is not None:
        yield start, None


def _places(caller: Caller, rule: AlertRule) -> Iterator[Place]:
    visible = Connection.objects.visible_to(caller.user).filter(team_id=rule.team_id)
    machines = [row for row in visible.order_by("name") if rule.covers(row)]
    names = (rule.metric, rule.and_metric)
    if not any(QUANTITIES[name].is_per_gpu for name in names if name):
        yield from (Place(machine, None) for machine in machines)
        return
    gpus = GpuIdentity.objects.filter(machine__connection__in=machines).order_by("index")
    indices: dict[Any, list[int]] = {}
    for owner, index in gpus.values_list("machine__connection_id", "index").distinct():
        indices.setdefault(owner, []).append(index)
    for machine in machines:
        for index in indices.get(machine.pk, ()):
            if rule.gpu is None or rule.gpu == index:
                yield Place(machine, index)


def _firings(
    place: Place, rule: AlertRule, span: history_query.Span, tier: Tier
) -> Iterator[Firing]:
    first, second = _series(rule.metric), _series(rule.and_metric)
    read = history_query.slice(
        place.connection.pk,
        span,
        gpu=place.gpu,
        tier=tier,
        metrics=[name for name in (first, second) if name],
        max_points=int(SPAN.total_seconds()) // tier.resolution_seconds + 1,
    )
    values = read.series[first]["avg"]
    others: Sequence[float | None] = read.series[second]["avg"] if second else [None] * len(values)
    rows = zip(read.timestamps, values, others, strict=True)
    for start, end in firings_of(rule.trigger, rows, tier.resolution):
        yield Firing(place, start, end)


def _series(metric: str) -> str:
    return (QUANTITIES[metric].series or "") if metric else ""


def _detail(places: int, tier: Tier) -> str:
    grain = "20 seconds" if tier is RAW else "an hour, because there are many machines"
    left_out = f" Only the first {MOST_SERIES} of {places} were read." * (places > MOST_SERIES)
    return f"Computed from means of {grain}: a shorter peak is not in them.{left_out}"


def _item(firing: Firing) -> dict[str, Any]:
    return {
        "connection_id": str(firing.place.connection.pk),
        "gpu": firing.place.gpu,
        "fired_at": iso(firing.start),
        "resolved_at": iso(firing.end),
    }
