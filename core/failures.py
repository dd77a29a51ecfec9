"""Which exceptions of Django, the database, Redis and the disk are which of our errors.

One table for the API and for pages. What is not in it is a fault of ours: a 500 with a traceback in
the log. The caller's own mistakes leave one line, never a traceback.
"""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from django.core.exceptions import BadRequest as DjangoBadRequest
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, ValidationError
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError
from django.http import UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from redis.exceptions import RedisError

from core import errors, strict_json

logger = logging.getLogger(__name__)

# SQLSTATE: two requests made the same thing at once, or one made what hangs on what another
# removed, each after it had seen that all was well. Any other constraint is ours to keep.
_RACES = frozenset({"23505", "23503"})
_NOT_THERE = "Save with update_fields did not affect any rows"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def known(error: Exception, place: str) -> errors.SiteError | None:
    """What a caller is told of `error`, which is logged as it deserves; None for a fault of ours.

    `place`: the method and path of the request.
    """
    if isinstance(error, errors.SiteError):
        return error
    for kinds, translate in _TABLE:
        if isinstance(error, kinds) and (found := translate(error, place)) is not None:
            return found
    return None


@contextmanager
def conflict(constraint: str, message: str, field: str | None = None) -> Iterator[None]:
    """Around a write: what breaks this constraint of the database is a `Conflict` at `field`."""
    try:
        yield
    except IntegrityError as error:
        if _constraint(error) != constraint:
            raise
        logger.info("%s: a second one was refused", constraint)
        blamed = () if field is None else (errors.FieldError(field, message),)
        raise errors.Conflict(message, errors=blamed) from error


def _constraint(error: IntegrityError) -> str | None:
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)


def _dependency_down(error: Exception, place: str) -> errors.SiteError:
    logger.error("%s: a dependency is down: %s", place, error)
    return errors.Unavailable("The database or Redis does not answer.")


def _too_large(error: Exception, place: str) -> errors.SiteError:
    return errors.TooLarge(f"At most {strict_json.LIMIT_BYTES} bytes.")


def _unreadable(error: Exception, place: str) -> errors.SiteError:
    logger.info("%s: %s", place, type(error).__name__)
    return errors.Unreadable()


def _refused_value(error: Exception, place: str) -> errors.SiteError:
    """Something that our own grammar should have refused before."""
    logger.error("%s: the database refuses a value: %s", place, error)
    return errors.Invalid("A value is outside of what can be kept.")


def _integrity(error: Exception, place: str) -> errors.SiteError | None:
    cause = getattr(error.__cause__, "sqlstate", None)
    if cause not in _RACES:
        return None  # logged as every fault of ours, with its traceback
    logger.warning("%s: a race broke a constraint", place, exc_info=error)
    return errors.Conflict("Somebody else changed the same at this moment; look, and try again.")


def _gone(error: Exception, place: str) -> errors.SiteError | None:
    """Django's word, which has no class of its own, for `update_fields` of a row that is gone."""
    if type(error) is not DatabaseError or not str(error).startswith(_NOT_THERE):
        return None
    logger.info("%s: a row went meanwhile", place)
    return errors.NotFound("It was deleted meanwhile.")


def _full_disk(error: Exception, place: str) -> errors.SiteError | None:
    if getattr(error, "errno", None) not in _FULL:
        return None
    logger.error("%s: the disk of the site is full", place)
    return errors.NoRoom("The disk of the site is full.")


Translate = Callable[[Exception, str], errors.SiteError | None]

# A subclass stands before its base.
_TABLE: tuple[tuple[tuple[type[Exception], ...], Translate], ...] = (
    # psycopg's own come from what streams outside of Django's connections.
    (
        (OperationalError, InterfaceError, RedisError, psycopg.OperationalError),
        _dependency_down,
    ),
    ((RequestDataTooBig,), _too_large),
    (
        (SuspiciousOperation, DjangoBadRequest, MultiPartParserError, UnreadablePostError),
        _unreadable,
    ),
    # An id that cannot be one, in a view of Django's own: ours look before they ask.
    ((ValidationError,), _unreadable),
    ((DataError,), _refused_value),
    ((IntegrityError,), _integrity),
    ((DatabaseError,), _gone),
    ((OSError,), _full_disk),
)
