"""How many names one machine may bring up: of interfaces, of users and containers, of GPUs.

A name costs a row, a key or a line of memory for as long as the site remembers it, so what is
counted are the names of a while, not those of a sample. Time is counted in frames of the machine
itself, as everywhere among the collectors.
"""


class Names:
    """The names of the last while; a new one beyond `most` finds no room until the while is over.

    `frames` is the length of the while. `refused` counts since its beginning what found no room.
    """

    def __init__(self, most: int, frames: int) -> None:
        self.most = most
        self.refused = 0
        self._frames = frames
        self._began = 0
        self._taken: set[str] = set()

    def take(self, name: str, frame: int) -> bool:
        """Whether there is room for this name; one that was taken before keeps its place."""
        if frame - self._began >= self._frames:
            self._began, self.refused = frame, 0
            self._taken.clear()
        if name in self._taken:
            return True
        if len(self._taken) >= self.most:
            self.refused += 1
            return False
        self._taken.add(name)
        return True
