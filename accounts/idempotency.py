"""A POST sent twice with one `Idempotency-Key` has one effect and the same answer, for 24 hours.

The key is claimed, the work done and the answer kept in one transaction. A second request with
the same key waits in the database for the first one to end: it then replays its answer, or does
the work itself if the first failed or died. No key is ever left half-used.

Answers are kept encrypted, since they may hold a secret that is shown only once, and bodies only
as a keyed digest, since they may hold a password.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from ninja.responses import Status

from accounts.authentication import caller_of
from accounts.models import IdempotentAnswer, User
from dgxsite import crypto
from dgxsite.errors import Conflict, Invalid

LIFETIME = timedelta(hours=24)
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def once(request: HttpRequest, work: Callable[[], Status[Any]]) -> Any:
    """Do `work` unless this request was answered before; what it returns is the API's answer.

    `work` runs inside the transaction, so it touches the database alone. Raises `Conflict` when
    the key came with another body before.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return work()
    if not _KEY.fullmatch(key):
        raise Invalid.field("Idempotency-Key", "It has 1 to 255 printable ASCII characters.")
    caller, path = caller_of(request), request.path
    user = caller.user
    # A weaker token of the same person does not read what a stronger one was answered.
    body = b"%d:%s" % (caller.ceiling, request.body)
    digest = salted_hmac("accounts.idempotency", body, algorithm="sha256").hexdigest()
    with transaction.atomic():
        forget_old()
        if not _claim(user, path, key, digest):
            return _replay(user, path, key, digest)
        result = work()
        _keep(user, path, key, result)
        return result


def forget_old() -> None:
    """Drop the answers whose 24 hours are over."""
    IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - LIFETIME).delete()


def forget_all() -> int:
    """Drop every kept answer, whose encryption key is about to go; how many there were."""
    return IdempotentAnswer.objects.filter(status__isnull=False).delete()[0]


def _claim(user: User, path: str, key: str, digest: str) -> bool:
    """Whether the key is ours; waits while another transaction that holds it is running."""
    row = IdempotentAnswer(user=user, path=path, key=key, body_digest=digest)
    # On a conflict PostgreSQL waits for the other transaction, then inserts nothing or our row.
    IdempotentAnswer.objects.bulk_create([row], ignore_conflicts=True)
    # With ignore_conflicts Django does not learn the row's key: ours is the one without answer.
    found = IdempotentAnswer.objects.get(user=user, path=path, key=key)
    return found.status is None


def _keep(user: User, path: str, key: str, result: Status[Any]) -> None:
    answer = crypto.encrypt(orjson.dumps(result.value).decode(), _context(user, path, key))
    IdempotentAnswer.objects.filter(user=user, path=path, key=key).update(
        status=result.status_code, answer=answer
    )


def _replay(user: User, path: str, key: str, digest: str) -> HttpResponse:
    row = IdempotentAnswer.objects.get(user=user, path=path, key=key)
    if row.body_digest != digest:
        raise Conflict(
            "This Idempotency-Key was used with another body.", code="idempotency_key_reused"
        )
    body = crypto.decrypt(row.answer, _context(user, path, key))
    return HttpResponse(
        body, status=row.status, content_type="application/json", headers={REPLAYED: "true"}
    )


def _context(user: User, path: str, key: str) -> str:
    return f"accounts.idempotentanswer/{user.pk}/{path}/{key}"
