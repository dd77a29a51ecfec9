"""How something below calls something above: the module below owns a hook and calls it.

It knows nobody who is called. `dgxsite/wiring.py` registers all of them, so that one file says what
is called where. Who needs an answer from each callback, or wants one that fails to stop no other,
goes over the hook itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Hook(Generic[P, R]):
    """One occasion, and what is called on it, in the order of registration."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Replaced as a whole: other threads may be going over it.
        self._callbacks: tuple[Callable[P, R], ...] = ()

    def register(self, callback: Callable[P, R]) -> None:
        """Call `callback` from now on; the same one twice is an error of whoever registers."""
        if callback in self._callbacks:
            raise ValueError(f"{name_of(callback)} is registered twice for {self.name}")
        self._callbacks = (*self._callbacks, callback)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """What each callback answers; the first that raises ends it."""
        return [callback(*args, **kwargs) for callback in self._callbacks]

    def __iter__(self) -> Iterator[Callable[P, R]]:
        return iter(self._callbacks)

    def __len__(self) -> int:
        return len(self._callbacks)

    @property
    def registered(self) -> list[str]:
        """Who is called, by module and name."""
        return [name_of(callback) for callback in self._callbacks]

    @contextmanager
    def only(self, *callbacks: Callable[P, R]) -> Iterator[None]:
        """In this block these are called and nobody else: for a process that is no whole site."""
        before, self._callbacks = self._callbacks, callbacks
        try:
            yield
        finally:
            self._callbacks = before


def name_of(callback: Callable[..., Any]) -> str:
    """The module and the name of a callback, for logs and errors."""
    name = getattr(callback, "__qualname__", repr(callback))
    return f"{getattr(callback, '__module__', '?')}.{name}"
