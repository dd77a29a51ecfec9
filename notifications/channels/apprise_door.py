"""An event through one of the chat services, in a process of its own (`apprise_child`)."""

import json
import os
import re
import subprocess
import sys
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from core import cleaner
from core.security import address_policy
from core.web.waiting import outside_database
from notifications.channels import letters, no_answer
from notifications.channels.chat_services import BY_SCHEME, host_of
from notifications.channels.outcome import Outcome
from notifications.kinds import Severity
from notifications.models import Channel, Event

DEADLINE_SECONDS = 30.0
# Longer than a service waits for one connection and one answer.
EVEN_SECONDS = 10.0
TOO_MUCH = "The service's answer took more memory or time than there is for it."
_CHILD = (sys.executable, "-m", "notifications.channels.apprise_child")
# How the services' plugins name the status of an answer.
_STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")
_TYPES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
# What a program needs to run and to check certificates; the site's own settings stay here.
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


def parse(url: str) -> SplitResult:
    """The address of a chat service in parts; `ValueError` with a sentence for a person."""
    parts = urlsplit(url)
    if "://" not in url or parts.scheme not in BY_SCHEME:
        known = ", ".join(sorted(BY_SCHEME))
        raise ValueError(f"The address begins with one of: {known}.")
    host_of(parts)  # raises ValueError for what is no port
    return parts


def check(url: str) -> Outcome:
    """Whether the service understands the address; nothing is sent."""
    return _run(url, None)


def send(channel: Channel, event: Event) -> Outcome:
    """One try. The host is judged here and once more at each connection."""
    url = channel.secret("url") or ""
    place = host_of(parse(url))
    if place is not None:
        try:
            address_policy.pin(*place)
        except address_policy.RefusedAddress as error:
            return Outcome.refused(error.detail)
        except address_policy.Unresolvable as error:
            return Outcome.failed(error.detail)
    kind = _TYPES[Severity(event.severity)]
    message = {"title": event.title, "body": letters.text(event), "type": kind}
    even = time.monotonic() + EVEN_SECONDS
    outcome = _run(url, message)
    if place is None or outcome.ok or outcome.is_final:
        return outcome
    # Only what is a web server has an answer without an end.
    if outcome.detail == TOO_MUCH:
        return outcome
    # The channel names the server: what is no answer of HTTP is told as for a webhook.
    if status := _STATUS.search(outcome.detail):
        return Outcome.failed(f"The service answered {status[1]}.")
    return no_answer.outcome(f"channel={channel.pk} {outcome.detail}", even)


@outside_database()
def _run(url: str, message: dict[str, str] | None) -> Outcome:
    order = {"url": url, "message": message, "policy": _policy()}
    try:
        done = subprocess.run(
            _CHILD,
            input=json.dumps(order).encode(),
            capture_output=True,
            cwd=settings.BASE_DIR,
            env=_environment(),
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return Outcome.failed("The service did not answer in time.")
    except ValueError:
        if done.returncode < 0:  # a signal, of a limit or of the kernel that has no memory left
            return Outcome.failed(TOO_MUCH)
        return Outcome.failed("The chat service's part of the site failed.")
    if answer["ok"]:
        return Outcome.delivered()
    if answer["too_much"]:
        return Outcome.failed(TOO_MUCH)
    if answer["refused"]:
        return Outcome.refused(answer["detail"])
    return Outcome.failed(_without_secrets(answer["detail"], url) or "The service refused it.")


def _policy() -> dict[str, Any]:
    """What the address policy has to know over there; no password goes along."""
    database = settings.DATABASES["default"]
    redis = urlsplit(settings.REDIS_URL)
    host = f"[{redis.hostname}]" if redis.hostname and ":" in redis.hostname else redis.hostname
    is_unix = redis.scheme == "unix"
    return {
        "ALLOW_LOOPBACK": settings.ALLOW_LOOPBACK,
        "ALLOWED_NETWORKS": settings.ALLOWED_NETWORKS,
        "DATABASES": {
            "default": {"HOST": str(database["HOST"]), "PORT": str(database.get("PORT") or "")}
        },
        "REDIS_URL": "unix://" if is_unix else f"redis://{host}:{redis.port or 6379}",
    }


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # No password from the home directory of the site's user, and nothing written there.
    return passed | {"NETRC": os.devnull, "HOME": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}


def _without_secrets(text: str, url: str) -> str:
    """A plugin's complaint, without any part of the address that could be a token."""
    for part in sorted(re.split(r"[/?&=@:]+", url), key=len, reverse=True):
        if len(part) >= 5:
            text = text.replace(part, "…")
    return cleaner.line(text, 200)
