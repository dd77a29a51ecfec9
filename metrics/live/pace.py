"""How many samples a machine may bring, and how large one may be.

The program on a machine prints a frame every `SAMPLE_SECONDS`. What a network held up comes
together, so some more are taken at once; what comes faster for long was never asked for, and is
left out. A sample of more than `MAX_SAMPLE_BYTES` is stored without its smaller processes and last
interfaces. Both are said in the `health` of what is kept.
"""

from dataclasses import replace

from metrics.collectors.readings import Health, Sample

# Three times what was asked for; and after a pause so many at once.
FASTEST = 3.0
AT_ONCE = 20.0
# So long after the last one was left out it is still said.
SAID_SECONDS = 60.0
MAX_SAMPLE_BYTES = 128 * 1024
SOURCE = "proc"


class Pace:
    """The samples of one session; `interval_seconds` is what the machine was asked for."""

    def __init__(self, interval_seconds: float, now: float) -> None:
        self._per_second = FASTEST / interval_seconds
        self._room = AT_ONCE
        self._at = now
        self._left_out = 0
        self._say_until = now

    def wants(self, now: float) -> bool:
        """Whether there is room for one more; it takes the room."""
        self._room = min(AT_ONCE, self._room + self._per_second * (now - self._at))
        self._at = now
        if now >= self._say_until:
            self._left_out = 0
        if self._room < 1:
            self._left_out += 1
            self._say_until = now + SAID_SECONDS
            return False
        self._room -= 1
        return True

    def marked(self, sample: Sample) -> Sample:
        """The sample, which says how many were lately left out."""
        if not self._left_out:
            return sample
        return said(sample, f"{self._left_out} samples more than were asked for are left out")


def said(sample: Sample, detail: str) -> Sample:
    """The sample with a line of health about itself in the place of that of /proc."""
    others = tuple(entry for entry in sample.health if entry.source != SOURCE)
    return replace(sample, health=(*others, Health(SOURCE, False, detail)))
