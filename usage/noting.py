"""The minutes of this process's keeper: noted sample by sample, written once they have ended."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings

from connections.keeper.link import Link
from metrics.collectors.readings import Sample
from metrics.history.buffer import WindowBuffer
from metrics.history.saver import Keeping, Saver
from metrics.live import store as live_store
from usage import ledger, tables
from usage.attribution import MINUTE_SECONDS, Minute, minute
from usage.notes import Note, note_from, note_of

# 500 machines for ten minutes; about 1 KB for each GPU with an owner.
MAX_CLOSED = 5_000


def make_minutes() -> WindowBuffer[Note, Minute]:
    """Minutes that wait to be written."""

    def close(end: datetime, notes: Sequence[Note]) -> Minute:
        return minute(end, notes, settings.SAMPLE_SECONDS)

    return WindowBuffer(MINUTE_SECONDS, close, MAX_CLOSED)


minutes = make_minutes()


def note(link: Link, sample: Sample) -> None:
    """Put a sample into its machine's minute; called on the keeper's reading thread."""
    minutes.add(link.connection_id, note_of(sample))


def save(
    keeper_id: UUID,
    holdings: Mapping[UUID, int],
    now: datetime,
    waiting: WindowBuffer[Note, Minute] = minutes,
) -> int:
    """Write the minutes that have ended by `now`; how many rows. Never raises for a database."""
    saver = Saver(waiting, _left, ledger.write, tables.ensure_days)
    return saver.save(Keeping(keeper_id, holdings), now)


def _left(ids: Sequence[UUID]) -> Mapping[UUID, Iterable[Note]]:
    """What previous keepers of these machines saw in the last two minutes; raises as redis-py."""
    rings = live_store.unsaved_samples(ids)
    return {id: map(note_from, samples) for id, samples in rings.items()}
