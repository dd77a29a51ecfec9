"""Who listens to whom: the arrows that would otherwise point up."""

from alerts import watch
from connections.keeper import keeper
from jobs.keeper import agent
from metrics.live import ingest as live_ingest
from usage import noting


def connect() -> None:
    """Called once by a process that becomes a keeper.

    Metrics and jobs attach to every session, the usage ledger and the alerts note every sample.
    """
    keeper.on_connected(live_ingest.attach)
    keeper.on_round(live_ingest.flush)
    keeper.on_connected(agent.crew.attach)
    live_ingest.on_sample(agent.crew.note)
    live_ingest.on_sample(noting.note)
    live_ingest.on_sample(watch.watch.note)
    keeper.on_round(watch.watch.pace)
