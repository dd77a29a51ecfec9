"""The site keeps one active superuser, whatever is tried and however many try at once."""

from django.db.models import QuerySet

from accounts.models import User
from core.errors import Conflict


def active() -> QuerySet[User]:
    return User.objects.filter(is_superuser=True, is_active=True)


def locked(user_id: int) -> User | None:
    """A person, with every active superuser locked until the transaction ends.

    Two who would each be the last but one then go one after the other. In the order of the keys,
    or two such locks could wait for each other.
    """
    list(active().select_for_update().order_by("pk").values_list("pk", flat=True))
    return User.objects.select_for_update().filter(pk=user_id).first()


def keep_one(*leaving: User) -> None:
    """`Conflict` if nobody were left without these; call it with `locked` in a transaction."""
    ids = [person.pk for person in leaving]
    is_one_leaving = any(person.is_superuser and person.is_active for person in leaving)
    if is_one_leaving and not active().exclude(pk__in=ids).exists():
        raise Conflict("The last superuser stays.")
