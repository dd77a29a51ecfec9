"""Paramiko's transport, bounded: what a peer may make us keep, and who waits for it.

Packets, messages and channels have limits that no honest server comes near; beyond them the
session ends with `TooMuch`. What is sent by threads that serve all machines – the one that reads,
the one that pulses – waits in the session and leaves from its own thread (`Packets.later`, `Tap`),
so that a machine that takes no bytes, or never ends a key exchange, stops itself alone.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import paramiko

WINDOW_BYTES = 4 * 1024 * 1024
PACKET_BYTES = 256 * 1024
# What a peer may send before anybody has logged in: greeting, keys and a banner take a tenth.
LOGIN_BYTES = 256 * 1024
# The longest packet that we allow, with what goes around it.
LONGEST_MESSAGE_BYTES = PACKET_BYTES + 4096
# Reads beyond the end of one message: old servers leave out the last fields.
MOST_MISSED = 16
# Messages without content in so many seconds; a keep-alive is one in fifteen.
MOST_IDLE_MESSAGES, IDLE_MESSAGES_SECONDS = 1_000, 10.0
_SAYS_NOTHING = frozenset(
    {
        paramiko.common.MSG_IGNORE,
        paramiko.common.MSG_DEBUG,
        paramiko.common.MSG_UNIMPLEMENTED,
        paramiko.common.MSG_GLOBAL_REQUEST,
    }
)


class TooMuch(paramiko.SSHException):
    """The machine sends what no server has to send; the session is over."""


class Message(paramiko.Message):
    """One message of a peer, which may end too early a few times, as old servers' do.

    Paramiko reads zeros beyond the end for ever, so that a count of four thousand million in a
    short message is a loop of hours.
    """

    _missed = 0

    @classmethod
    def of(cls, message: paramiko.Message) -> Self:
        own = cls()
        own.packet, own.seqno = message.packet, message.seqno
        return own

    def get_bytes(self, n: int) -> bytes:
        if n > LONGEST_MESSAGE_BYTES:
            raise TooMuch("a text longer than any message")
        found = self.packet.read(n)
        if len(found) < n:
            self._missed += 1
            if self._missed > MOST_MISSED:
                raise TooMuch("a message that ends long before it says")
        return found + b"\0" * (n - len(found))


class Packets(paramiko.packet.Packetizer):
    """What a peer may make us keep: short packets, few before the log-in, few that say nothing.

    And what waits to be sent to it, by threads that must not wait for it (`later`). The session's
    own thread sends that between two packets of the machine's, or when it wakes without one; a
    machine that takes nothing stops that thread alone.
    """

    clear_to_send: threading.Event  # the transport's: unset while keys are exchanged

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self._left: int | None = LOGIN_BYTES
        self._idle, self._since = 0, time.monotonic()
        self._waiting: deque[Callable[[], paramiko.Message | None]] = deque()

    def later(self, make: Callable[[], paramiko.Message | None]) -> None:
        """Send what `make` gives, once its turn comes; None is nothing. Never waits."""
        self._waiting.append(make)

    def send_waiting(self) -> None:
        """Only for the session's thread, on which keys are exchanged, or with the lock of that."""
        while self.clear_to_send.is_set():
            try:
                make = self._waiting.popleft()
            except IndexError:
                return
            if (message := make()) is not None:
                self.send_message(message)

    def close(self) -> None:
        super().close()
        self._waiting.clear()

    def logged_in(self) -> None:
        """From now on the windows of the channels are what bounds it."""
        self._left = None

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > LONGEST_MESSAGE_BYTES:
            raise TooMuch(f"a packet of {n} bytes")
        self._spend(n)
        return super().read_all(n, check_rekey)

    def read_message(self) -> tuple[int, paramiko.Message]:
        self.send_waiting()
        kind, message = super().read_message()
        if kind in _SAYS_NOTHING:
            self._count_idle()
        return kind, Message.of(message)

    def _check_keepalive(self) -> None:
        """Called when nothing has come for a while."""
        self.send_waiting()
        super()._check_keepalive()  # type: ignore[misc]

    def _read_timeout(self, timeout: float) -> bytes:
        """A piece of a line before the key exchange, which may have no end."""
        found: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._spend(len(found))
        return found

    def _spend(self, count: int) -> None:
        if self._left is not None:
            self._left -= count
            if self._left < 0:
                raise TooMuch("more bytes than a log-in takes")

    def _count_idle(self) -> None:
        self._idle += 1
        if self._idle > MOST_IDLE_MESSAGES:
            if time.monotonic() - self._since < IDLE_MESSAGES_SECONDS:
                raise TooMuch("a flood of messages that say nothing")
            self._idle, self._since = 0, time.monotonic()


def _within_window(feed: Callable[[paramiko.Channel, Any], None]) -> Any:
    """Paramiko keeps what comes beyond the window that it gave; no server has to send that."""

    def fed(channel: paramiko.Channel, message: Any) -> None:
        if len(channel.in_buffer) + len(channel.in_stderr_buffer) > WINDOW_BYTES + PACKET_BYTES:
            raise TooMuch("more than the window of a channel")
        feed(channel, message)

    return fed


class Transport(paramiko.Transport):
    """Paramiko's, with bounds on what the peer may make us keep."""

    packetizer: Packets
    _channel_handler_table: ClassVar[dict[int, Any]] = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        paramiko.common.MSG_CHANNEL_DATA: _within_window(
            paramiko.Channel._feed  # type: ignore[attr-defined]
        ),
        paramiko.common.MSG_CHANNEL_EXTENDED_DATA: _within_window(
            paramiko.Channel._feed_extended  # type: ignore[attr-defined]
        ),
    }

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(
            sock,
            default_window_size=WINDOW_BYTES,
            default_max_packet_size=PACKET_BYTES,
            packetizer_class=Packets,
        )
        self.packetizer.clear_to_send = self.clear_to_send
        self._is_hurrying = False

    def let_go(self, channel: paramiko.Channel) -> None:
        """Close a channel. Unlike its own `close` this never waits for the machine, nor raises."""
        with channel.lock:
            for message in channel._close_internal():  # type: ignore[attr-defined]
                if message is not None:
                    self.packetizer.later(partial(_itself, message))

    def hurry(self) -> None:
        """Send what waits while the session's own thread sleeps; for the drain's thread alone."""
        if not self._is_hurrying:
            self._is_hurrying = True
            threading.Thread(target=self._hurry, name="sender", daemon=True).start()

    def _hurry(self) -> None:
        try:
            # While keys are exchanged nothing is sent: the session's thread does it afterwards.
            with self.clear_to_send_lock:
                self.packetizer.send_waiting()
        except (OSError, EOFError, paramiko.SSHException):
            return  # the session's thread hears of it as well
        finally:
            self._is_hurrying = False


def _itself(message: paramiko.Message) -> paramiko.Message:
    return message


class Tap:
    """A channel as the drain and the pulse have it: nothing here waits for the machine.

    Paramiko's `recv` makes room in the window, and its `send` and `close` send at once: each of
    them waits while keys are exchanged, and for ever while the machine takes no bytes.
    """

    def __init__(
        self, channel: paramiko.Channel, transport: Transport, end: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._transport = transport
        self._end = end
        self._owed = 0  # bytes read for which the machine has not been given room yet
        self._owed_waits = self._send_waits = False
        self.in_buffer = channel.in_buffer
        self.in_stderr_buffer = channel.in_stderr_buffer

    @property
    def exit_status(self) -> int:
        return self._channel.exit_status

    @property
    def closed(self) -> bool:
        return bool(self._channel.closed)

    @property
    def eof_received(self) -> bool:
        return bool(self._channel.eof_received)

    def recv_ready(self) -> bool:
        return self._channel.recv_ready()

    def recv_stderr_ready(self) -> bool:
        return self._channel.recv_stderr_ready()

    def recv(self, nbytes: int) -> bytes:
        return self._read(self.in_buffer, nbytes)

    def recv_stderr(self, nbytes: int) -> bytes:
        return self._read(self.in_stderr_buffer, nbytes)

    def send(self, data: bytes) -> bool:
        """Send it soon; False if the last one still waits, or the machine has no room for it."""
        with self._channel.lock:
            if self.closed or self._channel.eof_sent:
                raise OSError("the channel is closed")
            if self._send_waits or self._channel.out_window_size < len(data):
                return False
            self._channel.out_window_size -= len(data)
            self._send_waits = True
        self._transport.packetizer.later(partial(self._data, data))
        return True

    def close(self) -> None:
        self._transport.let_go(self._channel)

    def hang_up(self) -> None:
        """End the whole session."""
        self._end()

    def _read(self, buffer: Any, nbytes: int) -> bytes:
        data: bytes = buffer.read(nbytes, 0.0)
        with self._channel.lock:
            self._owed += len(data)
            owed, waits = self._owed, self._owed_waits
            self._owed_waits = waits or owed > self._channel.in_window_threshold
        if self._owed_waits and not waits:
            self._transport.packetizer.later(self._room)
        if owed > self._channel.in_window_size // 2:
            # The machine may be waiting for room, and then no packet wakes the session's thread.
            self._transport.hurry()
        return data

    def _room(self) -> paramiko.Message | None:
        with self._channel.lock:
            owed, self._owed, self._owed_waits = self._owed, 0, False
        if self._channel.closed or self._channel.eof_received:
            return None
        message = self._message(paramiko.common.cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(owed)
        return message

    def _data(self, data: bytes) -> paramiko.Message | None:
        self._send_waits = False
        if self._channel.closed:  # the machine may know it no more, and hang up on us
            return None
        message = self._message(paramiko.common.cMSG_CHANNEL_DATA)
        message.add_string(data)
        return message

    def _message(self, kind: bytes) -> paramiko.Message:
        message = paramiko.Message()
        message.add_byte(kind)
        message.add_int(self._channel.remote_chanid)
        return message
