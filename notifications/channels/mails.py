"""An event as an e-mail through the server of `EMAIL_URL`.

The Message-ID is the event's id, so that a second copy can be told from a second event.
"""

import smtplib

from django.core.mail import EmailMessage

from accounts.models import User
from core.web.waiting import outside_database
from notifications.channels import letters
from notifications.channels.outcome import Outcome
from notifications.models import Event


def send(user: User, event: Event) -> Outcome:
    """Hand it to the mail server; a recipient that the server refuses for good is final."""
    if not user.email:
        return Outcome.refused("The person has no e-mail address.")
    message = EmailMessage(
        subject=f"[{event.team.name}] {event.title}",
        body=letters.text(event),
        to=[user.email],
        headers={
            "Message-ID": f"<{event.pk}@{letters.domain()}>",
            "X-DGX-Event-Id": str(event.pk),
            "Auto-Submitted": "auto-generated",
        },
    )
    try:
        with outside_database():
            message.send()
    except smtplib.SMTPRecipientsRefused as error:
        code = max((status for status, _ in error.recipients.values()), default=0)
        ending = Outcome.refused if code >= 500 else Outcome.failed
        return ending(f"The mail server refuses the recipient ({code}).")
    except smtplib.SMTPResponseException as error:
        return Outcome.failed(f"The mail server answers {error.smtp_code}.")
    except (smtplib.SMTPException, OSError) as error:
        return Outcome.failed(f"The mail server does not take it: {type(error).__name__}.")
    return Outcome.delivered()
