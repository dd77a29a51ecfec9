"""Who listens to whom: the arrows that would otherwise point up."""

from alerts import watching
from connections.keeper import keeper
from jobs import agent
from metrics import collecting
from usage import noting


def connect() -> None:
    """Called once by a process that becomes a keeper.

    Metrics and jobs attach to every session, the usage ledger and the alerts note every sample.
    """
    keeper.on_connected(collecting.attach)
    keeper.on_round(collecting.flush)
    keeper.on_connected(agent.crew.attach)
    collecting.on_sample(agent.crew.note)
    collecting.on_sample(noting.note)
    collecting.on_sample(watching.watch.note)
    keeper.on_round(watching.watch.pace)
