"""From a connected machine to samples: the collector's stream is decoded, recorded and flushed.

The keeper hands over bytes and asks for nothing; this file knows what they mean.
"""

import logging
import secrets
import time
from datetime import UTC, datetime
from functools import partial

from django.conf import settings

from connections.keeper import process
from connections.keeper.link import Link
from connections.models import Reason, Transport
from core import cleaner
from core.background import isolation
from core.background.threads import Loop
from core.hooks import Hook, name_of
from metrics.collectors import program
from metrics.collectors.local import LocalCollector
from metrics.collectors.readings import Sample
from metrics.collectors.stream import Collector
from metrics.live.pace import Pace
from metrics.live.store import Recorder

logger = logging.getLogger(__name__)

_LONGEST_WORDS = 200

recorder = Recorder()

# Called for every sample of this keeper, on the thread that read it. Who is called must only note
# the sample: every machine's next frame waits for it.
on_sample: Hook[[Link, Sample], None] = Hook("a sample was read")


def attach(link: Link) -> None:
    """Start collecting on a fresh session."""
    if link.transport == Transport.LOCAL:
        Loop("local", "reading this machine", partial(_collect_here, link)).start()
    else:
        _collect_there(link)


def flush() -> None:
    """Send everything that was recorded, as far as this keeper may still write about it.

    Called after each round of the keeper's reading: what was read together leaves together.
    """
    held = process.current()
    if held is not None:
        recorder.flush(held.holdings())


def _record(link: Link, sample: Sample) -> None:
    if link.closed.is_set():  # a newer session of the machine tells what counts
        return
    link.progress()
    recorder.sessions.note(link.connection_id, link, sample)
    recorder.add(link.connection_id, link.team_id, link.epoch, sample)
    # What one of them cannot do with this sample is no reason to end the stream.
    isolation.each(
        on_sample,
        lambda listener: listener(link, sample),
        name=f"a sample of {link}, for",
        key=name_of,
        rests=False,
    )


def _collect_there(link: Link) -> None:
    marker = secrets.token_hex(16)
    launch = program.launch(marker, interval_seconds=settings.SAMPLE_SECONDS)
    collector = Collector(marker, interval_seconds=settings.SAMPLE_SECONDS)
    pace = Pace(settings.SAMPLE_SECONDS, time.monotonic())
    noise = bytearray()

    def on_data(data: bytes) -> None:
        if not collector.started and len(noise) < 2000:
            noise.extend(data[:2000])
        now = time.monotonic()
        wanted = collector.feed(data, datetime.now(UTC), now, lambda: pace.wants(now))
        for sample in wanted:
            _record(link, pace.marked(sample))

    def on_close(status: int | None) -> None:
        if collector.started:
            link.fail(Reason.UNREACHABLE, "The stream from the machine ended.")
        else:
            link.fail(Reason.UNUSABLE_SHELL, _why_unusable(status, bytes(noise)))

    link.open_stream(
        launch.command, launch.stdin, on_data=on_data, on_close=on_close, pulse=program.HEARTBEAT
    )


def _why_unusable(status: int | None, noise: bytes) -> str:
    """A sentence with the first words that the machine sent, made harmless."""
    words = cleaner.words(noise, _LONGEST_WORDS)
    said = f" It said: {words}" if words else ""
    ended = f" with status {status}" if status is not None else ""
    return f"The login shell ended{ended} instead of running a command.{said}"


def _collect_here(link: Link) -> None:
    """The site's own machine, on its own clock."""
    collector = LocalCollector()
    due = time.monotonic()
    while not link.closed.wait(max(0.0, due - time.monotonic())):
        due = max(due + settings.SAMPLE_SECONDS, time.monotonic())
        try:
            sample = collector.sample(datetime.now(UTC), time.monotonic())
        except Exception:
            logger.exception("this machine cannot be read")
            link.fail(Reason.UNREACHABLE, "This machine cannot be read; the log says why.")
            return
        _record(link, sample)
