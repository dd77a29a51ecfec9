"""A POST sent twice with one `Idempotency-Key` has one effect and the same answer, for 24 hours.

The key is claimed, the work done and the answer kept in one transaction. A second request with
the same key waits in the database for the first one to end: it then replays its answer, or does
the work itself if the first failed or died. No key is ever left half-used.

Before an answer is replayed the policy is asked again what it was asked when the work was done:
who has lost the right since gets the refusal instead. Answers are kept encrypted, since they may
hold a secret that is shown only once, and bodies only as a keyed digest, since they may hold a
password.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import orjson
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from ninja.responses import Status

from accounts.auth.callers import caller_of
from accounts.models import IdempotentAnswer, Team, User
from accounts.policy import Allowed, Caller, forbidden, may, noting, role_in
from core.errors import Conflict, Invalid, NotFound
from core.security import crypto

LIFETIME = timedelta(hours=24)
HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
T = TypeVar("T")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# `openapi_extra` of the routes that go through `once`.
REPEATABLE: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": HEADER,
            "description": "The same key with the same body is answered once, for 24 hours.",
            "required": False,
            "schema": {"type": "string", "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
        }
    ]
}


class KeyReused(Conflict):
    code = "idempotency_key_reused"


def once(request: HttpRequest, work: Callable[[], Status[Any]]) -> Any:
    """Do `work` unless this request was answered before; what it returns is the API's answer.

    `work` runs inside the transaction, so it touches the database alone. Raises `Conflict` when
    the key came with another body before.
    """
    return _once(_asked(request), work)


def once_prepared(
    request: HttpRequest, prepare: Callable[[], T], work: Callable[[T], Status[Any]]
) -> Any:
    """As `once`, for work that has to look outside the database first.

    `prepare` does so before the transaction; not at all when the answer is known, since by now it
    might find the world another one.
    """
    asked = _asked(request)
    if asked is not None and (row := _rows(asked).filter(created_at__gte=_oldest()).first()):
        return _replay(asked, row)
    with noting() as rights:
        prepared = prepare()
    return _once(asked, lambda: work(prepared), rights)


def forget_old() -> None:
    """Drop the answers whose 24 hours are over."""
    IdempotentAnswer.objects.filter(created_at__lt=_oldest()).delete()


def forget_all() -> int:
    """Drop every kept answer, whose encryption key is about to go; how many there were."""
    return IdempotentAnswer.objects.filter(status__isnull=False).delete()[0]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with a key, and what of its body is remembered."""

    caller: Caller
    path: str
    key: str
    digest: str

    @property
    def user(self) -> User:
        return self.caller.user

    @property
    def context(self) -> str:
        return f"accounts.idempotentanswer/{self.user.pk}/{self.path}/{self.key}"


def _asked(request: HttpRequest) -> _Asked | None:
    """None without a key; `Invalid` for one that is none."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Invalid.field(HEADER, "It has 1 to 255 printable ASCII characters.")
    caller = caller_of(request)
    # A token of the same person that is weaker, or ends sooner, does not read what was answered
    # to another: the answer may hold a stronger one, or one that lasts.
    ends = caller.token.expires_at if caller.token else None
    body = f"{caller.ceiling}:{ends}:".encode() + request.body
    digest = salted_hmac("accounts.idempotency", body, algorithm="sha256").hexdigest()
    return _Asked(caller, request.path, key, digest)


def _once(
    asked: _Asked | None, work: Callable[[], Status[Any]], prepared: Sequence[Allowed] = ()
) -> Any:
    """`prepared` are the rights that were asked before."""
    if asked is None:
        return work()
    with transaction.atomic():
        forget_old()
        row = _claim(asked)
        if row.status is not None:
            return _replay(asked, row)
        with noting() as rights:
            result = work()
        _keep(asked, result, [*prepared, *rights])
        return result


def _oldest() -> datetime:
    return timezone.now() - LIFETIME


def _rows(asked: _Asked) -> QuerySet[IdempotentAnswer]:
    return IdempotentAnswer.objects.filter(user=asked.user, path=asked.path, key=asked.key)


def _claim(asked: _Asked) -> IdempotentAnswer:
    """The key's row, which is ours if it has no answer; waits for a transaction that holds it."""
    row = IdempotentAnswer(
        user=asked.user, path=asked.path, key=asked.key, body_digest=asked.digest
    )
    # On a conflict PostgreSQL waits for the other transaction, then inserts nothing or our row.
    IdempotentAnswer.objects.bulk_create([row], ignore_conflicts=True)
    # With ignore_conflicts Django does not learn the row's key: ours is the one without answer.
    return _rows(asked).get()


def _keep(asked: _Asked, result: Status[Any], rights: Sequence[Allowed]) -> None:
    answer = crypto.encrypt(orjson.dumps(result.value).decode(), asked.context)
    named = [[action, str(team_id) if team_id else None] for action, team_id in set(rights)]
    _rows(asked).update(status=result.status_code, answer=answer, rights=named)


def _replay(asked: _Asked, row: IdempotentAnswer) -> HttpResponse:
    if row.body_digest != asked.digest:
        raise KeyReused("This Idempotency-Key was used with another body.")
    _ask_again(asked.caller, row)
    body = crypto.decrypt(row.answer, asked.context)
    return HttpResponse(
        body, status=row.status, content_type="application/json", headers={REPLAYED: "true"}
    )


def _ask_again(caller: Caller, row: IdempotentAnswer) -> None:
    """Raises what the policy refuses by now: `NotFound` for a team that is not the caller's."""
    if row.rights is None:
        raise Conflict("This was answered before an update of the site; look whether it is there.")
    for action, team_id in row.rights:
        team = Team.objects.filter(pk=team_id).first() if team_id else None
        if may(caller, action, team):
            continue
        if team_id and (team is None or role_in(caller.user, team) is None):
            raise NotFound
        raise forbidden(action)
