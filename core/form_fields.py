"""Fields of HTML forms whose values fit into what lies behind them."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

from core.times import FIRST_DAY, LAST_DAY, utc

_OUTSIDE = "The years 2000 to 2099 can be asked for."


class MomentField(forms.DateTimeField):
    """A moment of the person's time zone, handed on in UTC, of the years that the site knows."""

    def clean(self, value: Any) -> datetime | None:
        found = super().clean(value)
        try:
            return None if found is None else utc(found)
        except ValueError as error:
            raise ValidationError(_OUTSIDE) from error


class DayField(forms.DateField):
    """A day of the years that the site knows."""

    default_validators = (  # type: ignore[assignment]  # Django only ever reads it
        MinValueValidator(FIRST_DAY, _OUTSIDE),
        MaxValueValidator(LAST_DAY, _OUTSIDE),
    )
