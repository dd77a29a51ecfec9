"""Second factors: who has to have one, how their secrets are kept, and what may be taken away.

An authenticator app (TOTP) or a passkey counts; recovery codes alone do not. Seeds are encrypted
and bound to their person: a row that was moved to somebody else opens for nobody.

allauth's hooks for encrypting know the text alone, not whose it is. So a seed leaves the hook
"unbound", is bound when its row is saved, and remembers its person when its row is read.
"""

from collections.abc import Collection, Mapping
from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from accounts.models import Role, User
from accounts.policy import roles_from
from core.security import crypto, key_rotation
from core.security.encrypted_fields import Sealed

STRONG = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
_UNBOUND = "mfa.authenticator/unbound"
_SECRETS = ("secret", "seed")


class Seed(str):
    """A ciphertext out of a row, with what it has to be bound to."""

    __slots__ = ("context",)

    context: str

    @classmethod
    def of(cls, row: Authenticator, name: str) -> "Seed":
        seed = cls(row.data[name])
        seed.context = context_of(row.user_id, row.type, name)
        return seed


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
        """For a row that is about to be saved: `bind` then binds it to the row's person."""
        return crypto.encrypt(text, _UNBOUND)

    def decrypt(self, encrypted_text: str) -> str:
        """`SecretUnreadable` for what stands in another person's row."""
        context = encrypted_text.context if isinstance(encrypted_text, Seed) else _UNBOUND
        return crypto.decrypt(encrypted_text, context)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return "Passkey" if number == 1 else f"Passkey {number}"


def context_of(user_id: int, kind: str, name: str) -> str:
    """To what a seed is bound: the person, the kind of factor and the field."""
    return f"mfa.authenticator/{user_id}/{kind}/{name}"


def remember_seeds(sender: Any, instance: Authenticator, **kwargs: Any) -> None:
    """A row without a key is new: what was just encrypted for it is not its person's yet."""
    is_read = {"data", "user_id", "type"} <= instance.__dict__.keys()
    if is_read and instance.pk is not None:
        _mark(instance)


def bind_seeds(sender: Any, instance: Authenticator, **kwargs: Any) -> None:
    """Bind what comes from the hook; what was bound to somebody stays bound to them."""
    for name in _names(instance):
        if not isinstance(instance.data[name], Seed):
            text = crypto.decrypt(instance.data[name], _UNBOUND)
            context = context_of(instance.user_id, instance.type, name)
            instance.data[name] = crypto.encrypt(text, context)
    _mark(instance)


def _mark(row: Authenticator) -> None:
    for name in _names(row):
        row.data[name] = Seed.of(row, name)


def _names(row: Authenticator) -> list[str]:
    return [name for name in _SECRETS if isinstance(row.data.get(name), str)]


def _sealed(row: Authenticator) -> dict[str, Sealed]:
    contexts = {name: context_of(row.user_id, row.type, name) for name in _names(row)}
    return {name: Sealed(row.data[name], context) for name, context in contexts.items()}


def _columns(row: Authenticator, changed: Mapping[str, str]) -> dict[str, Any]:
    return {"data": row.data | changed}


# What has to be rotated with all other secrets.
SEEDS = key_rotation.Source(Authenticator, Authenticator.objects.all(), _sealed, _columns)
