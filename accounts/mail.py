"""Mail leaves on a thread of its own: an answer that waited for the mail server would tell
outsiders who has an account here.

A message is not queued anywhere else, because it holds a link that resets a password. If the
process dies or the mail server refuses, the person asks once more.
"""

import logging
import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor

from django.core.mail import EmailMessage

from core.web.waiting import outside_database

logger = logging.getLogger(__name__)

_MOST_WAITING = 100
_waiting = threading.BoundedSemaphore(_MOST_WAITING)
_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def send_soon(message: EmailMessage) -> None:
    """Send after the answer; returns at once and never raises. A hundred may wait."""
    if not _waiting.acquire(blocking=False):
        logger.error("mail dropped: the mail server is too slow")
        return
    _sender.submit(_send, message)


def _send(message: EmailMessage) -> None:
    try:
        with outside_database():
            message.send()
    except (OSError, smtplib.SMTPException) as error:
        logger.error("mail not sent: %s", type(error).__name__)
    finally:
        _waiting.release()
