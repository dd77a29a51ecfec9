"""One event, one line: whatever a client or a machine sent cannot start a second one."""

import logging
import re

_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_SECRETS = re.compile(
    r"dgx_[A-Za-z0-9_-]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)


def _escape(match: re.Match[str]) -> str:
    return repr(match.group())[1:-1]


def safe(text: str) -> str:
    """`text` without tokens, private keys and control characters."""
    return _BREAKS.sub(_escape, _SECRETS.sub("[secret]", text))


class OneLine(logging.Filter):
    """Masks secrets and escapes line breaks in the message."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = safe(record.getMessage()), None
        return True


class CallersMistakes(logging.Filter):
    """A request that Django turns away is one line: its traceback tells nothing of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_refusal = record.name == "django.request" and getattr(record, "status_code", 500) < 500
        if is_refusal or record.name.startswith("django.security"):
            record.exc_info = record.exc_text = None
        return True


class LineFormatter(logging.Formatter):
    """`LEVEL logger: message`; a traceback follows on its own lines, also masked."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: object) -> str:  # noqa: N802 (logging's name)
        return _SECRETS.sub("[secret]", super().formatException(ei))  # type: ignore[arg-type]
