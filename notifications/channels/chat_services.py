"""The chat and paging services that a channel may use: one line each, served by Apprise.

Apprise knows many more, among them some that run programs, write to the system's log or open local
sockets; what is not here is refused. `has_host` says that the host of the address is a server, and
not a token. A new service is one line.
"""

from dataclasses import dataclass
from urllib.parse import SplitResult


@dataclass(frozen=True, slots=True)
class Service:
    """`module` and `class_name` below `apprise.plugins`; ports by scheme, in `schemes`' order."""

    schemes: tuple[str, ...]
    module: str
    class_name: str
    has_host: bool = False


SERVICES: tuple[Service, ...] = (
    Service(("slack",), "slack", "NotifySlack"),
    Service(("mmost", "mmosts"), "mattermost", "NotifyMattermost", has_host=True),
    Service(("ntfy", "ntfys"), "ntfy", "NotifyNtfy", has_host=True),
    Service(("discord",), "discord", "NotifyDiscord"),
    Service(("workflows",), "workflows", "NotifyWorkflows", has_host=True),
    Service(("tgram",), "telegram", "NotifyTelegram"),
    Service(("gotify", "gotifys"), "gotify", "NotifyGotify", has_host=True),
    Service(("rocket", "rockets"), "rocketchat", "NotifyRocketChat", has_host=True),
    Service(("matrix", "matrixs"), "matrix", "NotifyMatrix", has_host=True),
    Service(("zulip",), "zulip", "NotifyZulip"),
    Service(("webex", "wxteams"), "webexteams", "NotifyWebexTeams"),
    Service(("gchat",), "google_chat", "NotifyGoogleChat"),
    Service(("nctalk", "nctalks"), "nextcloudtalk", "NotifyNextcloudTalk", has_host=True),
    Service(("synology", "synologys"), "synology", "NotifySynology", has_host=True),
    Service(("signal", "signals"), "signal_api", "NotifySignalAPI", has_host=True),
    Service(("hassio", "hassios"), "home_assistant", "NotifyHomeAssistant", has_host=True),
    Service(("pover",), "pushover", "NotifyPushover"),
    Service(("pbul",), "pushbullet", "NotifyPushBullet"),
    Service(("pagerduty",), "pagerduty", "NotifyPagerDuty"),
    Service(("opsgenie",), "opsgenie", "NotifyOpsgenie"),
)
BY_SCHEME: dict[str, Service] = {scheme: line for line in SERVICES for scheme in line.schemes}


def host_of(parts: SplitResult) -> tuple[str, int] | None:
    """The server that an address names, and its port; None where the service has its own."""
    service = BY_SCHEME[parts.scheme]
    names_topic_only = service.module == "ntfy" and not parts.path.strip("/")
    if not service.has_host or names_topic_only or not parts.hostname:
        return None
    is_secure = len(service.schemes) == 1 or parts.scheme == service.schemes[1]
    return parts.hostname, parts.port or (443 if is_secure else 80)
