"""The program that talks to chat services: `python -m notifications.channels.apprise_child`.

Apprise resolves names and opens connections by itself, inside many plugins. So it works in a
process of its own, which is killed at its deadline, knows none of the site's secrets but the one
address on its stdin, and may connect only where the address policy allows: an audit hook of the
interpreter judges every address at the moment of connecting, redirects included, and refuses to
start programs. Plugins read answers to their end, so memory and CPU have limits. One JSON object
comes in, `{"ok", "detail", "refused", "too_much"}` goes out.
"""

import importlib
import ipaddress
import json
import logging
import resource
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings

from core.security import address_policy
from notifications.channels.chat_services import BY_SCHEME

# Seven times what the plugins and their libraries take, and twenty times the work of a message.
MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 10
_LONGEST_DETAIL = 5000
_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_PROGRAMS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"})


class Complaints(logging.Handler):
    """Keeps what a plugin says about its failure; the last word counts."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def main() -> None:
    _limit()
    order = json.load(sys.stdin)
    settings.configure(**order["policy"])
    complaints = Complaints()
    logging.getLogger("apprise").addHandler(complaints)
    logging.getLogger("apprise").propagate = False
    judge = guard()
    too_much = False
    try:
        plugin = make(order["url"])
        ok = bool(plugin) and (order["message"] is None or send(plugin, order["message"]))
    except PermissionError as error:
        ok, complaints.last = False, str(error)
    except MemoryError:
        ok, too_much = False, True
    is_refused = bool(judge.refusals)
    detail = judge.refusals[-1] if is_refused else complaints.last
    answer = {
        "ok": ok,
        "detail": "" if ok else detail[:_LONGEST_DETAIL],
        "refused": is_refused,
        "too_much": too_much,
    }
    json.dump(answer, sys.stdout)


def _limit() -> None:
    """What is wanted beyond it is a `MemoryError`, or the end."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def make(url: str) -> Any:
    """The service's plugin for this address, None if the address is not one of its."""
    service = BY_SCHEME[url.partition("://")[0].lower()]
    apprise = importlib.import_module("apprise")
    plugin = getattr(
        importlib.import_module(f"apprise.plugins.{service.module}"), service.class_name
    )
    asset = apprise.AppriseAsset(app_id="dgxsite", app_desc="dgxsite", app_url="")
    found = plugin.parse_url(url)
    if not found:
        return None
    try:
        return plugin(**found, asset=asset)
    except TypeError:  # how plugins say that a part of the address is missing or wrong
        return None


def send(plugin: Any, message: dict[str, str]) -> bool:
    return bool(
        plugin.notify(
            title=message["title"],
            body=message["body"],
            notify_type=message["type"],
            body_format="text",
        )
    )


class Judge:
    """The audit hook; `refusals` are the sentences with which it said no."""

    def __init__(self, allowed: Callable[[list[str], int | None], object]) -> None:
        self.refusals: list[str] = []
        self._allowed = allowed
        self._is_judging = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _PROGRAMS:
            self._refuse("A chat service may not start programs.")
        if event in _CONNECTING and not self._is_judging:
            self._judge(args[1])

    def _judge(self, address: Any) -> None:
        if not isinstance(address, tuple):
            self._refuse("Only network addresses may be connected to.")
        host, port = str(address[0]), int(address[1])
        self._is_judging = True  # finding our own services resolves names
        try:
            ipaddress.ip_address(host)
            self._allowed([host], port)
        except ValueError:
            self._refuse("The name was not resolved before connecting.")
        except address_policy.RefusedAddress as error:
            self._refuse(error.detail)
        finally:
            self._is_judging = False

    def _refuse(self, sentence: str) -> None:
        self.refusals.append(sentence)
        raise PermissionError(sentence)


def guard() -> Judge:
    """From here on every connection is judged; a hook cannot be taken off again."""
    judge = Judge(address_policy.allowed)
    sys.addaudithook(judge)
    return judge


if __name__ == "__main__":
    main()
