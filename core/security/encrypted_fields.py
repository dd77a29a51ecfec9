"""Columns that hold secrets: `<name>_encrypted`, each bound to its model, its row and its name.

Whatever model has one is an `EncryptedRow`; nothing else has to be declared, and `key_rotation`
finds it by that. A ciphertext that was copied into another row or column does not open there, and
neither do those of a model whose app or name has changed.
"""

from typing import NamedTuple, Self

from django.db import models

from core.security import crypto

SUFFIX = "_encrypted"


class Sealed(NamedTuple):
    """A ciphertext as it stands in a row, and to what it is bound."""

    token: str
    context: str


class EncryptedRow(models.Model):
    """A model whose columns `<name>_encrypted` hold secrets."""

    class Meta:
        abstract = True

    @classmethod
    def encrypted_names(cls) -> tuple[str, ...]:
        """What its encrypted columns are called, without the ending."""
        names = (field.name for field in cls._meta.concrete_fields)
        return tuple(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))

    @classmethod
    def with_secrets(cls) -> models.QuerySet[Self]:
        """The rows in which any of these columns holds something."""
        return cls._base_manager.exclude(**{name + SUFFIX: "" for name in cls.encrypted_names()})

    def secret_context(self, name: str) -> str:
        """To what the secret is bound; needs the final primary key."""
        return f"{self._meta.label_lower}/{self.pk}/{name}"

    def set_secret(self, name: str, value: str) -> None:
        """Keep `value` encrypted for this row and column; an empty value removes it."""
        token = crypto.encrypt(value, self.secret_context(name)) if value else ""
        setattr(self, name + SUFFIX, token)

    def secret(self, name: str, context: str = "") -> str | None:
        """The secret in clear, None if there is none; raises `crypto.SecretUnreadable`.

        `crypto.OtherContext` if it was kept for another context than the row's, or than `context`.
        """
        token = getattr(self, name + SUFFIX)
        return crypto.decrypt(token, context or self.secret_context(name)) if token else None

    def sealed(self) -> dict[str, Sealed]:
        """The ciphertexts that there are, by the names of their columns."""
        tokens = {name: getattr(self, name + SUFFIX) for name in self.encrypted_names()}
        return {
            name + SUFFIX: Sealed(token, self.secret_context(name))
            for name, token in tokens.items()
            if token
        }
