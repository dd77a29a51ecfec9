"""Whole numbers in texts that come from outside."""


def whole(text: str, most: int) -> int | None:
    """The whole number from 0 to `most` that `text` spells in digits; None if it spells none.

    A longer text is never converted: that takes quadratic time, and Python refuses beyond 4,300
    digits with an error of its own.
    """
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > len(str(most)):
        return None
    number = int(text.lstrip("0") or "0")
    return number if number <= most else None
