"""RFC 9457: every error of the API in one shape, `application/problem+json`.

The members are `type`, `title`, `status`, `detail`, `code` and `errors` (a list of `field` and
`message`). Texts never repeat what was sent: it may have been a secret.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from django.http import HttpResponse

from core.errors import FieldError, SiteError, TooMany
from core.schemas import Output

MEDIA_TYPE = "application/problem+json"


class ProblemField(Output):
    """What is wrong with one field of the input."""

    field: str
    message: str


class Problem(Output):
    """Why a request was refused; `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemField]


def response(error: SiteError) -> HttpResponse:
    """The answer for one of our errors."""
    answer = problem(error.status, error.code, error.title, error.detail, error.errors)
    if isinstance(error, TooMany):
        say_when(answer, error)
    return answer


def say_when(answer: HttpResponse, error: TooMany) -> None:
    """Tell in `Retry-After` when to come again, if that is known."""
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)


def problem(
    status: int, code: str, title: str, detail: str, errors: Sequence[FieldError] = ()
) -> HttpResponse:
    """One problem as an HTTP answer."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [{"field": error.field, "message": error.message} for error in errors],
    }
    answer = HttpResponse(orjson.dumps(body), status=status, content_type=MEDIA_TYPE)
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def field_errors(found: Sequence[dict[str, Any]]) -> list[FieldError]:
    """Pydantic's errors (`loc`, `msg`) as fields and sentences; the input value is left out."""
    return [FieldError(_field(error["loc"]), _sentence(str(error["msg"]))) for error in found]


def _field(location: Sequence[Any]) -> str:
    """`("body", "payload", "tags", 2)` is `tags.2`: the source and our argument are not told."""
    parts = [str(part) for part in location]
    parts = parts[2:] if parts[:1] == ["body"] else parts[1:]
    return ".".join(parts)[:200]


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
