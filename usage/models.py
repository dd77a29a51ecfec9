"""Whose the GPU time is, and what it costs; the rows themselves live in `usage/tables.py`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

KEEP_DAYS = 400


class Owner(models.Model):
    """The small number under which the ledger keeps an owner; what is not known is null.

    A user name is that of the machine. The same name on two machines is one owner.
    """

    id = models.AutoField(primary_key=True)
    user = models.CharField(max_length=100, null=True)
    container = models.CharField(max_length=100, null=True)
    is_nobody = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "container", "is_nobody"),
                nulls_distinct=False,
                name="one_number_per_owner",
            ),
            models.CheckConstraint(
                condition=Q(is_nobody=False) | Q(user__isnull=True, container__isnull=True),
                name="nobody_has_no_name",
            ),
        )

    def __str__(self) -> str:
        if self.is_nobody:
            return "nobody"
        return self.user or self.container or "not known"


class UsageSettings(models.Model):
    """The one row of what the site counts with: the price of energy, and how long rows are kept."""

    price_per_kwh = models.DecimalField(
        "price per kWh",
        max_digits=10,
        decimal_places=4,
        null=True,
        blank=True,
        validators=(MinValueValidator(0),),
        help_text="Empty: no cost is shown.",
    )
    currency = models.CharField(
        max_length=3,
        blank=True,
        validators=(RegexValidator(r"^[A-Z]{3}\Z", "Three capital letters, such as EUR."),),
        help_text="Three capital letters, such as EUR.",
    )
    keep_days = models.PositiveIntegerField(
        default=KEEP_DAYS,
        validators=(MinValueValidator(31), MaxValueValidator(3660)),
        help_text="Months that ended longer ago are dropped.",
    )

    class Meta:
        verbose_name = verbose_name_plural = "usage settings"
        constraints = (models.CheckConstraint(condition=Q(pk=1), name="one_row_of_usage_settings"),)

    def __str__(self) -> str:
        return "usage settings"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.pk = 1
        super().save(*args, **kwargs)

    @classmethod
    def load(cls) -> "UsageSettings":
        """The stored row, or what holds without one."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    def clean(self) -> None:
        """A price has a currency."""
        if self.price_per_kwh is not None and not self.currency:
            raise ValidationError({"currency": "A price needs its currency."})
