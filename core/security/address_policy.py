"""Where the site may be sent by what people type: the networks that are refused.

A name is judged by what it resolves to, and the address that was judged is the one that is used
(`pin`), so that a second, different answer of the name server changes nothing. Private networks
are allowed: that is where the machines are. Loopback is allowed with `DGX_ALLOW_LOOPBACK` only, and
`DGX_ALLOWED_NETWORKS` leaves nothing but the networks it names.
"""

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings

from core.security import hostnames
from core.web.waiting import outside_database

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RESOLVE_SECONDS = 5.0
# A name server that hangs keeps its thread for longer than we wait; no more than this many do.
_LOOKUPS = threading.BoundedSemaphore(32)

# Metadata services of clouds outside the link-local range: AWS over IPv6, Alibaba, Oracle, Azure.
_METADATA: frozenset[Address] = frozenset(
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RefusedAddress(Exception):
    """The policy forbids every address of the name; `detail` says why in a sentence."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unresolvable(Exception):
    """The name has no address, or the name server did not answer in time."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def resolve(hostname: str, port: int) -> list[str]:
    """The addresses of a name in the system's order, within 5 s; `Unresolvable` if none."""
    if address := literal(hostname):
        return [str(address)]
    try:  # else the system's resolver would map the name by rules of its own
        name = hostnames.ascii_form(hostname)
    except ValueError as error:
        raise Unresolvable("This is not a host name.") from error
    return _asked(name, port)


@outside_database()
def _asked(hostname: str, port: int) -> list[str]:
    deadline = time.monotonic() + RESOLVE_SECONDS
    answer: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()
    if not _LOOKUPS.acquire(timeout=RESOLVE_SECONDS):
        raise Unresolvable("The name server does not answer.")
    threading.Thread(target=_look_up, args=(hostname, port, answer), daemon=True).start()
    try:
        found = answer.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise Unresolvable("The name server did not answer in time.") from None
    if isinstance(found, OSError) or not found:
        raise Unresolvable("The name has no address.")
    return found


def _look_up(hostname: str, port: int, answer: "queue.SimpleQueue[list[str] | OSError]") -> None:
    try:
        rows = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM)
        answer.put(list(dict.fromkeys(str(row[4][0]) for row in rows)))
    except OSError as error:
        answer.put(error)
    except UnicodeError as error:  # a label that IDNA cannot hold
        answer.put(OSError(str(error)))
    finally:
        _LOOKUPS.release()


def allowed(addresses: Iterable[str], port: int | None = None) -> list[str]:
    """The addresses that may be used; `RefusedAddress` if one is forbidden or none is left.

    Link-local answers of a name are only dropped: a name on a home network often has one. With
    `port`, the site's own database and Redis are refused too.
    """
    kept = []
    for text in addresses:
        address = _unwrapped(ipaddress.ip_address(text))
        if address.is_link_local:
            continue
        if why := _refusal(address):
            raise RefusedAddress(why)
        if port is not None and (str(address), port) in own_services():
            raise RefusedAddress("This is the site's own database or Redis.")
        kept.append(text)
    if not kept:
        raise RefusedAddress("Link-local addresses are not allowed.")
    return kept


def allowed_literal(hostname: str) -> None:
    """`RefusedAddress` if the host name itself is a forbidden address; names pass."""
    if address := literal(hostname):
        allowed([str(address)])


def pin(hostname: str, port: int) -> str:
    """The one address to use for this attempt; `Unresolvable` or `RefusedAddress`."""
    return allowed(resolve(hostname, port), port)[0]


def _refusal(address: Address) -> str | None:
    if address.is_loopback:
        return None if settings.ALLOW_LOOPBACK else "Loopback addresses are not allowed."
    if address.is_unspecified or address in _THIS_NETWORK:
        return "The unspecified address is not allowed."
    if address.is_multicast or (address.version == 4 and address.is_reserved):
        return "Multicast, broadcast and reserved addresses are not allowed."
    if address in _METADATA:
        return "Metadata services of clouds are not allowed."
    if settings.ALLOWED_NETWORKS and not _is_listed(address):
        return "Only the networks that this site's settings name are allowed."
    return None


def _is_listed(address: Address) -> bool:
    return any(address in ipaddress.ip_network(text) for text in settings.ALLOWED_NETWORKS)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that leads to it: mapped, compatible, 6to4, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if embedded := address.ipv4_mapped or address.sixtofour:
        return embedded
    compatible = int(address) >> 32 == 0 and int(address) > 1
    if address in _NAT64 or compatible:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def literal(text: str) -> Address | None:
    """The address that `text` is; with a zone (`%eth0`) it is none: zones are for link-local."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def own_services() -> set[tuple[str, int]]:
    """Address and port of the database and Redis, where they are reached over TCP."""
    database = settings.DATABASES["default"]
    redis = urlsplit(settings.REDIS_URL)
    places = [
        (str(database.get("HOST") or ""), int(database.get("PORT") or 5432)),
        ("" if redis.scheme == "unix" else redis.hostname or "", redis.port or 6379),
    ]
    found: set[tuple[str, int]] = set()
    for host, port in places:
        if host and not host.startswith("/"):
            found |= {(address, port) for address in _known(host, port)}
    return found


def _known(host: str, port: int) -> list[str]:
    """Our own servers' addresses; one that cannot be found now cannot be reached either."""
    try:
        return [str(_unwrapped(ipaddress.ip_address(text))) for text in resolve(host, port)]
    except Unresolvable:
        return []
