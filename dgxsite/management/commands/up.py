"""`manage.py up`: the whole site with one command, until Ctrl-C."""

import ctypes
import os
import signal
import socket
import sys
from argparse import ArgumentParser
from typing import Any

import psutil
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from core.env import env_str
from dgxsite.up import site
from dgxsite.up.console import Console
from dgxsite.up.instance_lock import Occupancy, Occupied
from dgxsite.up.preparation import NotADemo
from dgxsite.up.servers import CannotStart
from dgxsite.up.supervisor import Failed

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 (chosen by the person with --host)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_IP = {socket.AF_INET, socket.AF_INET6}


class Command(BaseCommand):
    help = "Run the whole site: web, keeper, worker, beat and, where not given, the two servers."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on")
        parser.add_argument("--demo", action="store_true", help="with simulated machines")

    def handle(self, *args: Any, **options: Any) -> None:
        _end_with_make()
        place = site.Place(options["host"], options["port"])
        if options["demo"] and not settings.DEMO:
            _again_as_demo()
        _let_in(place.host)
        try:
            self._run(place)
        except (Occupied, CannotStart, Failed, NotADemo, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def _run(self, place: site.Place) -> None:
        console = Console()
        occupancy = Occupancy(settings.DATA_DIR)
        if ended := occupancy.end_leftovers():
            console.say(f"ended {ended} processes that a killed start had left")
        _check_port(place)
        occupancy.announce(place.url)
        try:
            site.run(place, console, occupancy)
        finally:
            occupancy.release()


def _end_with_make() -> None:
    """Under `make run` a killed make must not leave the site running (Linux only)."""
    if "MAKELEVEL" in os.environ and sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _again_as_demo() -> None:
    """Start over with the demo's settings, in a data directory of its own unless one is given."""
    os.environ.setdefault("DGX_DATA_DIR", str(settings.BASE_DIR / "var" / "demo"))
    os.environ["DGX_DEMO"] = "1"
    os.environ["DGX_ALLOW_LOOPBACK"] = "1"  # its machines live on loopback
    os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 (the same program)


def _let_in(host: str) -> None:
    """Who listens on an address answers to it, unless the names were chosen by hand.

    The names stay a list and never "any": that is what stops a foreign page from reaching the
    site under a name of its own (DNS rebinding).
    """
    if env_str("DGX_ALLOWED_HOSTS"):
        return
    if host in _EVERYWHERE:
        interfaces = psutil.net_if_addrs().values()
        addresses = [a.address for entries in interfaces for a in entries if a.family in _IP]
    else:
        addresses = [host]
    names = [*settings.ALLOWED_HOSTS, *(_as_host(address) for address in addresses)]
    os.environ["DGX_ALLOWED_HOSTS"] = ",".join(dict.fromkeys(names))


def _as_host(address: str) -> str:
    plain = address.partition("%")[0]
    return f"[{plain}]" if ":" in plain else plain


def _check_port(place: site.Place) -> None:
    """Say at once what uvicorn would only say in the log, again and again."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(target)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"Cannot listen on {place.host} port {place.port}: {reason}.") from error
