"""Who called, where a proxy stands in front: its word counts if `DGX_TRUSTED_PROXIES` names it.

A trusted peer says in `X-Forwarded-For` whom it heard; the last entry that is no trusted proxy
itself is the caller, for limits, lock-outs and the audit trail. `X-Forwarded-Proto` says whether
they came by TLS, `X-Forwarded-Host` under which name. From anybody else these headers are nothing:
whoever could choose their own address would have no limit. See docs/behind-a-proxy.md.
"""

import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

# More hops than this are nobody's network.
_MOST_HOPS = 20
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,260}")


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks as networks; `ImproperlyConfigured` names what is none."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise ImproperlyConfigured(f"DGX_TRUSTED_PROXIES: {error}") from error


class BehindProxies:
    """Around an ASGI application: requests and sockets come from the caller, not from the proxy."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in {"http", "websocket"} and scope.get("client"):
            told = as_told(scope, settings.TRUSTED_PROXIES)
            if told is None:
                self._warn_once(scope)
            scope = told or scope
        await self._app(scope, receive, send)

    def _warn_once(self, scope: Scope) -> None:
        """A proxy that was forgotten makes all its callers one; an attacker gets one line."""
        if not self._has_warned and _said(scope, b"x-forwarded-for"):
            self._has_warned = True
            logger.warning(
                "%s sends X-Forwarded-For but is no trusted proxy; see DGX_TRUSTED_PROXIES",
                scope["client"][0],
            )


def as_told(scope: Scope, trusted: tuple[Network, ...]) -> Scope | None:
    """The scope as the proxies tell it; None if the peer is none of them."""
    peer = _address(scope["client"][0])
    if peer is None or not _is_among(peer, trusted):
        return None
    told = dict(scope)
    said = _said(scope, b"x-forwarded-for")
    told["client"] = (str(_caller(peer, said, trusted)), 0) if said else scope["client"]
    if (scheme := _SCHEMES.get(_last(_said(scope, b"x-forwarded-proto")).lower())) is not None:
        is_socket = scope["type"] == "websocket"
        told["scheme"] = scheme.replace("http", "ws") if is_socket else scheme
    if _HOST.fullmatch(host := _last(_said(scope, b"x-forwarded-host"))):
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        told["headers"] = [*others, (b"host", host.encode("ascii"))]
    return told


def _caller(peer: Address, said: list[str], trusted: tuple[Network, ...]) -> Address:
    """From the last hop on: the first that is no proxy of ours; nonsense ends the search."""
    found = peer
    for text in reversed(said[-_MOST_HOPS:]):
        hop = _address(text)
        if hop is None:
            return found
        found = hop
        if not _is_among(hop, trusted):
            return found
    return found


def _said(scope: Scope, name: bytes) -> list[str]:
    """The entries of all headers of this name, in order."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return [entry.strip() for entry in ",".join(values).split(",")] if values else []


def _last(entries: list[str]) -> str:
    """What the nearest proxy said."""
    return entries[-1] if entries else ""


def _address(text: str) -> Address | None:
    """`192.0.2.1`, `2001:db8::1`, also with a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    bare = text.partition("]")[0].removeprefix("[")
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_among(address: Address, trusted: tuple[Network, ...]) -> bool:
    return any(address in network for network in trusted)
