"""The programs that make up the site, as `manage.py up` runs them on one machine.

`docker-compose.yml` starts the same ones in containers; a change here belongs there as well.
"""

import re
import sys
from pathlib import Path

from dgxsite.up.servers import Server
from dgxsite.up.supervisor import Program

# The order of the end: first who makes work, then who does it, last what keeps it. The patience of
# the four stages together stays below the ten seconds in which everything has to be over.
_SERVERS, _SIMULATOR, _SITE, _CLOCK = range(4)

_CELERY = (sys.executable, "-m", "celery", "--quiet", "--skip-checks", "-A", "dgxsite")

# Client frames above 64 KiB close the socket (1009); sockets are pinged by the application.
# Compressing each message for each socket costs more than the bytes it saves.
# Whoever sends no whole request or reads no answer is cut off; see dgxsite/http/protocol.py.
WEB_OPTIONS = (
    *("--http", "dgxsite.http.protocol:BoundedH11", "--timeout-keep-alive", "5"),
    *("--lifespan", "off", "--ws", "websockets-sansio", "--ws-max-size", "65536"),
    *("--ws-per-message-deflate", "false"),
    # Whose word is taken for who called is for dgxsite/http/proxies.py.
    "--no-proxy-headers",
    *("--no-access-log", "--no-server-header", "--log-level", "warning"),
    *("--timeout-graceful-shutdown", "2"),
)
# More than there are tasks (`core.background.task_turns`), so that a tick always finds a thread.
TASK_THREADS = 32
# Gossip and mingle let workers of one queue know each other; ours talk through PostgreSQL.
WORKER_OPTIONS = ("--without-gossip", "--without-mingle", "--without-heartbeat")


# What the two servers say at every start and stop; warnings and errors pass.
_CHATTER = re.compile(
    r"^LOG:  (starting PostgreSQL|listening on|database system (was|is) |received fast shutdown"
    r"|aborting any active|shutting down|checkpoint )"
    r"|^FATAL:  (the database system is starting up|terminating connection due to administrator)"
    r"|# (oO0OoO0|Redis version|Configuration loaded|Server initialized|WARNING Memory overcommit"
    r"|User requested shutdown|Redis is now ready to exit)|signal-handler .* SIGTERM"
)


def server(embedded: Server) -> Program:
    """An embedded PostgreSQL or Redis."""
    return Program(
        embedded.name,
        embedded.argv,
        stage=_SERVERS,
        patience_seconds=2.5,
        stop_signal=embedded.stop_signal,
        chatter=_CHATTER,
    )


def web(host: str, port: int) -> Program:
    """Pages, API and sockets."""
    argv: tuple[str, ...] = (sys.executable, "-m", "uvicorn", "dgxsite.asgi:application")
    argv += ("--host", host, "--port", str(port), *WEB_OPTIONS)
    return Program("web", argv, stage=_SITE, patience_seconds=3)


def keeper() -> Program:
    """One Celery worker for both queues: the keeper's broadcast tick and the short tasks."""
    queues = ("-Q", "celery,tick", "-n", "keeper@%h")
    argv = (*_CELERY, "worker", "-P", "threads", "-c", str(TASK_THREADS), *queues, *WORKER_OPTIONS)
    environment = {
        "DGX_HOLDS_LOCAL": "1",
        # It takes nothing but JSON, so a forged message runs no code.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }
    chatter = re.compile("^$|Warm shutdown")
    return Program(
        "keeper",
        argv,
        stage=_SITE,
        patience_seconds=3,
        environment=environment,
        chatter=chatter,
    )


def beat() -> Program:
    """The clock. Its schedule is fixed, so it needs no file to remember anything."""
    argv = (*_CELERY, "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=")
    return Program("beat", argv, stage=_CLOCK, patience_seconds=1.5)


def simulator(directory: Path) -> Program:
    """The machines of the demo."""
    argv = (sys.executable, "-m", "simulator", "--fleet", "demo", "--dir", str(directory))
    return Program("simulator", argv, stage=_SIMULATOR, patience_seconds=1)
