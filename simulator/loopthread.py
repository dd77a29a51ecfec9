"""An async context manager for synchronous callers: its own event loop in a thread."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

T = TypeVar("T")
_START_TIMEOUT_SECONDS = 60.0


class _Holder(Generic[T]):
    """What the thread hands over."""

    def __init__(self) -> None:
        self.decided = threading.Event()
        self.value: T | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stop = asyncio.Event()
        self.error: BaseException | None = None


@contextlib.contextmanager
def in_thread(
    opening: Callable[[], AbstractAsyncContextManager[T]],
) -> Iterator[tuple[T, asyncio.AbstractEventLoop]]:
    """The value of `opening()` and the loop that it lives in; closed at the end of the block.

    An error while opening or closing is raised here.
    """
    holder: _Holder[T] = _Holder()
    thread = threading.Thread(
        target=_run, args=(opening, holder), name="simulated-fleet", daemon=True
    )
    thread.start()
    if not holder.decided.wait(_START_TIMEOUT_SECONDS):
        raise TimeoutError("The simulated fleet did not start.")
    if holder.error is not None:
        raise holder.error
    assert holder.loop is not None
    assert holder.value is not None
    try:
        yield holder.value, holder.loop
    finally:
        holder.loop.call_soon_threadsafe(holder.stop.set)
        thread.join()
    if holder.error is not None:
        raise holder.error


def _run(opening: Callable[[], AbstractAsyncContextManager[T]], holder: _Holder[T]) -> None:
    async def live() -> None:
        async with opening() as value:
            holder.value, holder.loop = value, asyncio.get_running_loop()
            holder.decided.set()
            await holder.stop.wait()

    try:
        asyncio.run(live())
    except BaseException as error:  # noqa: BLE001 - the caller's thread has to see it
        holder.error = error
    finally:
        holder.decided.set()
