"""Whether a channel's address may be used, and how it is shown.

As for connections: a refused address and one that is not understood are told at once; a name that
does not resolve now is stored, and judged again when something is sent.
"""

from urllib.parse import SplitResult

from core.errors import Invalid
from core.security import address_policy, hostnames
from notifications.channels import apprise_door, webhooks
from notifications.channels.chat_services import host_of
from notifications.models import ChannelKind


def check(kind: str, url: str) -> str:
    """The address as it may be shown; `Invalid` for the field `url`. May take seconds."""
    try:
        parts = _parse(kind, url)
        if (place := _place(kind, parts)) is not None:
            hostnames.ascii_form(_written(parts))
    except ValueError as error:
        raise Invalid.field("url", str(error)) from error
    if place is not None:
        _judge(*place)
    if kind == ChannelKind.APPRISE and not (outcome := apprise_door.check(url)).ok:
        raise Invalid.field("url", outcome.detail)
    return _shown(kind, parts)


def _parse(kind: str, url: str) -> SplitResult:
    return webhooks.parse(url) if kind == ChannelKind.WEBHOOK else apprise_door.parse(url)


def _place(kind: str, parts: SplitResult) -> tuple[str, int] | None:
    if kind == ChannelKind.WEBHOOK:
        return parts.hostname or "", webhooks.port_of(parts)
    return host_of(parts)


def _written(parts: SplitResult) -> str:
    """The host as it was written: `hostname` makes letters of signs that only look like them."""
    host = parts.netloc.rpartition("@")[2]
    return "" if host.startswith("[") else host.partition(":")[0]


def _judge(host: str, port: int) -> None:
    try:
        address_policy.pin(host, port)
    except address_policy.RefusedAddress as error:
        raise Invalid.field("url", error.detail) from error
    except address_policy.Unresolvable:
        return


def _shown(kind: str, parts: SplitResult) -> str:
    """Scheme and host, without user, path and query: most services keep their token there."""
    if (place := _place(kind, parts)) is None:
        return f"{parts.scheme}://…"
    host = f"[{place[0]}]" if ":" in place[0] else place[0]
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/…"[:300]
