"""One thread that reads every stream of a keeper as bytes arrive.

Paramiko's channels announce bytes by setting an event; ours puts the stream on a queue instead. A
thread per stream would cost twice the memory, polling them would make samples two seconds old.
Nothing is sent from here: a machine that takes no bytes would hold up the reading of all others.
What each read costs is told to whom the stream belongs (`connections/keeper/budget.py`).
"""

import logging
import queue
import time
from collections.abc import Callable
from typing import Any, Protocol

from core.background.threads import Loop

logger = logging.getLogger(__name__)

# Bytes of one frame arrive in a few packets, frames of many machines close together: waiting this
# long after the first makes one round of many. What a round has read leaves in one message, so this
# is also the most that a sample waits for others.
COALESCE_SECONDS = 0.2
READ_BYTES = 65_536
# A round that takes longer than this is a fault that health tells.
PATIENCE_SECONDS = 10.0


# Takes the seconds of CPU that a read has cost; False: nothing more is to be read.
Spend = Callable[[float], bool]


def unlimited(seconds: float) -> bool:
    """Whoever asks for a stream of a machine that need not share with others."""
    return True


class Channel(Protocol):
    """What a session has for us. Nothing of it may wait for the machine: others wait for us."""

    in_buffer: Any
    in_stderr_buffer: Any

    @property
    def exit_status(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    @property
    def eof_received(self) -> bool: ...
    def recv(self, nbytes: int) -> bytes: ...
    def recv_ready(self) -> bool: ...
    def recv_stderr(self, nbytes: int) -> bytes: ...
    def recv_stderr_ready(self) -> bool: ...
    def send(self, data: bytes) -> bool: ...
    def close(self) -> None: ...
    def hang_up(self) -> None: ...


class Stream:
    """A running command on a machine: bytes come by callback, heartbeats go by `send`."""

    def __init__(
        self,
        channel: Channel,
        ready: "queue.SimpleQueue[Stream | None]",
        on_data: Callable[[bytes], None],
        on_close: Callable[[int | None], None],
        spend: Spend,
    ) -> None:
        self._channel = channel
        self._ready = ready
        self._on_data = on_data
        self._on_close = on_close
        self._spend = spend
        self._queued = False
        self._ended = False

    # The two methods that make it an event for Paramiko's buffers.
    def set(self) -> None:
        if not self._queued:
            self._queued = True
            self._ready.put(self)

    def clear(self) -> None:
        """Nothing to do: the queue empties itself."""

    def send(self, data: bytes) -> bool:
        """Write to the command's stdin, soon; False if the machine does not take it now.

        Never waits; raises OSError when the channel is closed.
        """
        return self._channel.send(data)

    def close(self) -> None:
        self._channel.close()

    def give_up(self) -> None:
        """It cannot be read: the session ends, and whom the stream belongs to hears of it."""
        if not self._ended:
            self._ended = True
            self._channel.hang_up()
            self._on_close(None)

    def read(self) -> None:
        """Hand over what has arrived, at most `READ_BYTES`: a machine that prints without end
        waits for its next turn. One that takes more time than it may is not read any more. Only
        the drain's thread calls this.
        """
        self._queued = False  # before reading: bytes that come now queue it again
        if self._ended:
            return
        began = time.thread_time()
        try:
            self._read()
        finally:
            if not self._spend(time.thread_time() - began):
                self._ended = True

    def _read(self) -> None:
        channel = self._channel
        over = channel.closed or channel.eof_received
        if channel.recv_stderr_ready():
            channel.recv_stderr(READ_BYTES)
        if channel.recv_ready():
            self._on_data(channel.recv(READ_BYTES))
        if channel.recv_ready() or channel.recv_stderr_ready():
            self.set()
        elif over:
            self._ended = True
            self._on_close(channel.exit_status if channel.exit_status >= 0 else None)


class StreamReader:
    """The reading thread. `on_round` runs on it after each round, at least every `idle_seconds`."""

    def __init__(self, on_round: Callable[[], None], idle_seconds: float = 0.1) -> None:
        self._ready: queue.SimpleQueue[Stream | None] = queue.SimpleQueue()
        self._on_round = on_round
        self._idle_seconds = idle_seconds
        self._thread = Loop(
            "drain", "reading the machines", self._loop, patience_seconds=PATIENCE_SECONDS
        )
        self._stopping = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.end()
        self._ready.put(None)
        self._thread.join(timeout=5)

    def watch(
        self,
        channel: Channel,
        *,
        on_data: Callable[[bytes], None],
        on_close: Callable[[int | None], None],
        spend: Spend,
    ) -> Stream:
        """Read this channel from now on, and what has already arrived."""
        stream = Stream(channel, self._ready, on_data, on_close, spend)
        channel.in_stderr_buffer.set_event(stream)
        channel.in_buffer.set_event(stream)
        stream.set()
        return stream

    def _loop(self) -> None:
        while not self._stopping:
            self._thread.beat()
            try:
                first = self._ready.get(timeout=self._idle_seconds)
            except queue.Empty:
                self._round_done()
                continue
            time.sleep(COALESCE_SECONDS)
            self._read(first)
            for _ in range(self._ready.qsize()):
                self._read(self._ready.get())
            self._round_done()

    def _read(self, stream: Stream | None) -> None:
        if stream is None:
            return
        try:
            stream.read()
        except Exception:  # one machine's nonsense never stops the others
            logger.exception("a stream could not be read")
            self._give_up(stream)

    def _give_up(self, stream: Stream) -> None:
        try:
            stream.give_up()
        except Exception:
            logger.exception("a stream that could not be read could not be ended")

    def _round_done(self) -> None:
        try:
            self._on_round()
        except Exception:
            logger.exception("the end of a round failed")
