"""Who listens to whom: the arrows that would otherwise point up."""

from alerts import watching
from connections import keeper
from metrics import collecting
from usage import noting


def connect() -> None:
    """Called once by a process that becomes a keeper.

    Metrics attach to every session, the usage ledger and the alerts note every sample.
    """
    keeper.on_connected(collecting.attach)
    keeper.on_round(collecting.flush)
    collecting.on_sample(noting.note)
    collecting.on_sample(watching.watch.note)
    keeper.on_round(watching.watch.pace)
