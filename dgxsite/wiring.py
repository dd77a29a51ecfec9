"""Who listens to whom: the arrows that would otherwise point up."""

from connections import keeper
from metrics import collecting


def connect() -> None:
    """Called once by a process that becomes a keeper: metrics attach to every session."""
    keeper.on_connected(collecting.attach)
    keeper.on_round(collecting.flush)
