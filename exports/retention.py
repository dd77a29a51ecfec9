"""How long files are kept, as a list of rules that one task goes through every hour.

A schedule keeps its newest files, so many and so long; the row stays and says that the file is no
longer here. What lies in the trash for 30 days goes for good. What no row knows of – the rest of a
process that was killed, the files of a machine that is gone – is removed after a day. Files on the
machines are never touched.
"""

import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.background import isolation
from exports import storage
from exports.models import Export, ExportSchedule

logger = logging.getLogger(__name__)

_STRAY = timedelta(days=1)
_KINDS = ("dgx-metrics", "ranges")


def tidy(now: datetime) -> None:
    """Apply every rule; one that fails is logged and leaves the others their turn."""
    isolation.each(
        (_expire, _empty_trash, _remove_strays),
        lambda rule: rule(now),
        name="exports:",
        key=lambda rule: rule.__name__,
        rests=False,
    )


def _expire(now: datetime) -> None:
    for schedule in ExportSchedule.objects.all():
        kept = schedule.exports.filter(local_ok=True, expired_at=None).order_by("-created_at")
        youngest = now - timedelta(days=schedule.keep_days)
        old = [
            export
            for place, export in enumerate(kept)
            if place >= schedule.keep_count or export.created_at < youngest
        ]
        isolation.each(old, lambda export: _expire_one(export, now), name="removing file of export")


def _expire_one(export: Export, now: datetime) -> None:
    export.path.unlink(missing_ok=True)
    Export.objects.filter(pk=export.pk).update(expired_at=now)


def _empty_trash(now: datetime) -> None:
    exports = Export.objects.expired(now)
    isolation.each(exports, _forget, name="forgetting export")
    schedules = ExportSchedule.objects.expired(now)
    # The task takes the schedule with it.
    isolation.each(schedules, lambda row: row.periodic_task.delete(), name="forgetting schedule")


def _forget(export: Export) -> None:
    if export.filename:
        export.path.unlink(missing_ok=True)
    export.delete()


def _remove_strays(now: datetime) -> None:
    known = {export.path for export in Export.objects.exclude(filename="").iterator()}
    isolation.each(
        (path for path in _files() if path not in known),
        lambda path: _remove_old(path, now),
        name="looking at file",
    )


def _remove_old(path: Path, now: datetime) -> None:
    if _age(path, now) > _STRAY:
        _remove(path)


def _files() -> Iterator[Path]:
    top = storage.folder()
    yield from top.glob(f"{storage.SCRATCH}*")
    for kind in _KINDS:
        yield from (top / kind).glob("*")


def _age(path: Path, now: datetime) -> timedelta:
    return now - datetime.fromtimestamp(path.lstat().st_mtime, UTC)


def _remove(path: Path) -> None:
    logger.warning("removing %s, which no export knows of", path.name)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
