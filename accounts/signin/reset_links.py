"""The links by mail that reset a password, and when all of a person's die at once."""

from allauth.account.forms import EmailAwarePasswordResetTokenGenerator

from accounts.models import User


class ResetLinks(EmailAwarePasswordResetTokenGenerator):
    """A link knows the moment from which the person's links count; a later one ends it.

    It moves when an account is switched off and when a backup is restored.
    """

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        made: str = super()._make_hash_value(user, timestamp)
        return f"{made}{user.links_from.isoformat()}"
