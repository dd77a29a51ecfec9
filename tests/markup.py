"""Pages as tests read them, wherever the formatter of the templates breaks a line."""

import re


def flat(page: str) -> str:
    """Return the page with one space for each run of them, and none before the end of a tag."""
    return re.sub(r" (/?>)", r"\1", re.sub(r"[ \n]+", " ", page))
