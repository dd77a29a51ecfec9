"""The one log of `manage.py up`: a line per event, with the time and the name of the process."""

import os
import sys
from collections.abc import Mapping
from datetime import datetime

# One colour per name, in the order in which names first speak.
_COLOURS = (36, 32, 33, 35, 34, 31, 96, 92, 93)
_RESET = "\x1b[0m"


class Console:
    """Writes prefixed lines to standard output; a reader that went away is no error."""

    def __init__(self, descriptor: int = 1, *, width: int = 9) -> None:
        self._descriptor = descriptor
        self._width = width
        self._colours: dict[str, int] = {}
        self._is_coloured = _wants_colour(descriptor, os.environ)

    def line(self, name: str, text: str) -> None:
        """One line of the process `name`."""
        prefix = f"{datetime.now().astimezone():%H:%M:%S} {name:<{self._width}} |"
        if self._is_coloured:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}{_RESET}"
        self._write(f"{prefix} {text}\n")

    def say(self, text: str) -> None:
        """One line of the supervisor itself."""
        self.line("dgxsite", text)

    def notice(self, lines: list[str]) -> None:
        """Something a person has to read: without prefix, so that it can be copied."""
        self._write("\n" + "".join(f"  {line}\n" for line in lines) + "\n")

    def _write(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "replace"))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # The terminal or the pipe is gone: the site runs on, or is being told to stop.
            self._descriptor = os.open(os.devnull, os.O_WRONLY)


def _wants_colour(descriptor: int, environment: Mapping[str, str]) -> bool:
    return os.isatty(descriptor) and "NO_COLOR" not in environment


def complain(text: str) -> None:
    """One clear line on standard error."""
    print(text, file=sys.stderr, flush=True)
