"""Second factors: who has to have one, how their secrets are kept, and what may be taken away.

An authenticator app (TOTP) or a passkey counts; recovery codes alone do not. Seeds are encrypted
like every other secret of the site.
"""

import logging
from collections.abc import Collection

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from accounts.models import Role, User
from accounts.policy import roles_from
from dgxsite import crypto, isolation
from dgxsite.crypto import SecretUnreadable

STRONG = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# allauth's hooks do not say whose secret it is.
_CONTEXT = "mfa.authenticator"
_SECRETS = ("secret", "seed")

logger = logging.getLogger(__name__)


def lacking(user_ids: Collection[int]) -> set[int]:
    """Those who have to set up a second factor before anything else; empty unless required."""
    if not settings.REQUIRE_MFA or not user_ids:
        return set()
    ranked = Q(is_superuser=True) | Q(is_staff=True)
    ranked |= Q(memberships__role__in=roles_from(Role.OPERATOR))
    owned = Authenticator.objects.filter(user=OuterRef("pk"), type__in=STRONG)
    rows = User.objects.filter(ranked, ~Exists(owned), pk__in=user_ids)
    return set(rows.values_list("pk", flat=True))


class SecondFactors(DefaultMFAAdapter):
    """allauth's hooks for second factors."""

    def get_totp_issuer(self) -> str:
        return f"dgxsite {self._get_site_name()}"

    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text, _CONTEXT)

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(encrypted_text, _CONTEXT)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return "Passkey" if number == 1 else f"Passkey {number}"


def rotate_all() -> tuple[int, int]:
    """Bring the seeds under the newest key; how many were rotated, how many no key opens."""
    rotated = unreadable = 0
    for key in list(Authenticator.objects.values_list("pk", flat=True)):
        try:
            rotated += _rotate(key)
        except SecretUnreadable:
            unreadable += 1
        except Exception as error:
            # One row that cannot be rotated keeps no other from its new key.
            if isolation.is_down(error):
                raise
            logger.exception("%s: its secrets were not rotated", key)
            unreadable += 1
    return rotated, unreadable


def _rotate(key: int) -> int:
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().filter(pk=key).first()
        if row is None:
            return 0
        found = [name for name in _SECRETS if isinstance(row.data.get(name), str)]
        for name in found:
            row.data[name] = crypto.rotate(row.data[name], _CONTEXT)
        if found:
            row.save(update_fields=["data"])
        return len(found)
