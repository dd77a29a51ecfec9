"""One attempt to connect a machine: log in, and let the apps attach what they need."""

import logging
import time
from collections.abc import Iterable

from django.db import Error as DatabaseError
from django.db import close_old_connections

from connections import ssh
from connections.keeper.link import Link, LinkCallback
from connections.models import Connection, Reason, Transport
from connections.ssh import targets

logger = logging.getLogger(__name__)


def open_link(link: Link, attachments: Iterable[LinkCallback]) -> None:
    """Give `link` its session and call each attachment with it.

    Whatever goes wrong, the session is closed and `ssh.ConnectError` says why. Blocks for up to
    the deadlines of `ssh`; never call it inside a transaction.
    """
    link.begun = link.last_progress = time.monotonic()
    try:
        _open(link, attachments)
    except ssh.ConnectError:
        link.close()
        raise
    except ssh.SessionLost as error:
        link.close()
        detail = f"The session broke: {error}"
        raise ssh.ConnectError(Reason.SSH_UNRESPONSIVE, detail) from error
    except (DatabaseError, Connection.DoesNotExist) as error:
        link.close()
        detail = "The site's database did not answer."
        raise ssh.ConnectError(Reason.UNREACHABLE, detail) from error
    except Exception as error:
        logger.exception("%s: the attempt failed", link)
        link.close()
        detail = "The site itself failed; its log says why."
        raise ssh.ConnectError(Reason.UNREACHABLE, detail) from error
    finally:
        close_old_connections()


def _open(link: Link, attachments: Iterable[LinkCallback]) -> None:
    link.hang_up.check()  # it may have waited long for its thread
    if link.transport != Transport.LOCAL:
        row = Connection.objects.select_related("jump_connection").get(pk=link.connection_id)
        target = targets.target_of(row)
        close_old_connections()  # a log-in may take long, and a pooled connection is somebody's
        link.enter(ssh.open_session(target, hang_up=link.hang_up))
    attached = False
    for attach in attachments:
        link.hang_up.check()  # a superseded attempt attaches nothing
        attach(link)
        attached = True
    if not attached:
        link.progress()  # nobody will tell that the machine is alive
