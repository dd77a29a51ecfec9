"""The errors that reach a person: a code, a sentence, and the HTTP status that fits.

Apps raise them from services; the API turns them into RFC 9457 problems, pages into messages. A
code is a class: what clients tell apart is a subclass of one of these, beside what raises it, and
`dgxsite.openapi` documents it from there.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of the input."""

    field: str
    message: str


class SiteError(Exception):
    """An error with a stable `code`, a sentence for the user (`detail`) and field errors."""

    status = 500
    code = "internal_error"
    title = "Something went wrong"

    def __init__(self, detail: str = "", *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = errors


class Unreadable(SiteError):
    status, code, title = 400, "unreadable", "This request cannot be read"


class Unauthorized(SiteError):
    status, code, title = 401, "unauthorized", "Log in or send a valid token"


class Forbidden(SiteError):
    status, code, title = 403, "forbidden", "Your role does not allow this"


class NotFound(SiteError):
    """Also for what the caller may not see."""

    status, code, title = 404, "not_found", "There is no such thing"


class MethodNotAllowed(SiteError):
    status, code, title = 405, "method_not_allowed", "This method is not for this address"


class Conflict(SiteError):
    status, code, title = 409, "conflict", "This conflicts with what is there"


class ChangedMeanwhile(Conflict):
    """The caller has read what somebody else has written over since."""

    code = "changed_meanwhile"


class PreconditionFailed(SiteError):
    status, code, title = 412, "precondition_failed", "It changed in the meantime"


class TooLarge(SiteError):
    status, code, title = 413, "too_large", "That is too large"


class Invalid(SiteError):
    status, code, title = 422, "invalid", "The input is not valid"

    @classmethod
    def field(cls, name: str, message: str) -> "Invalid":
        """One wrong field."""
        return cls(message, errors=(FieldError(name, message),))


class TooMany(SiteError):
    """`retry_after`: the seconds after which it may work again, as told in `Retry-After`."""

    status, code, title = 429, "too_many_requests", "Too many requests; wait a moment"

    def __init__(self, detail: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(SiteError):
    status, code, title = 503, "unavailable", "A part of the site is not available"


class NoRoom(SiteError):
    """The site's own disk cannot take what was asked for."""

    status, code, title = 507, "insufficient_storage", "The site has no room for it"


def every_kind(kind: type[SiteError] = SiteError) -> Iterator[type[SiteError]]:
    """`kind` and all that are made from it, wherever an app has declared them."""
    yield kind
    for narrower in kind.__subclasses__():
        yield from every_kind(narrower)
