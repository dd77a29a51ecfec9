"""System checks for what only shows at run time."""

import ipaddress
import re
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks

_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:-]+")


def encryption_keys(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Each encryption key is a Fernet key."""
    try:
        for key in settings.ENCRYPTION_KEYS:
            Fernet(key)
    except ValueError:
        return [
            checks.Error(
                "An encryption key is not 32 bytes in URL-safe base64.",
                hint="Make one with: python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'",
                id="dgxsite.E001",
            )
        ]
    return []


def cors_origins(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Each foreign origin is spelled as a browser sends it; nothing else would ever match."""
    wrong = [text for text in settings.CORS_ORIGINS if not _ORIGIN.fullmatch(text)]
    if not wrong:
        return []
    return [
        checks.Error(
            f"DGX_CORS_ORIGINS holds what is no origin: {', '.join(wrong)}",
            hint="Write https://host or https://host:port, in small letters, with no path or *.",
            id="dgxsite.E002",
        )
    ]


def allowed_networks(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Each allowed network is one: a misspelled list would keep everything out, or too little."""
    try:
        for text in settings.ALLOWED_NETWORKS:
            ipaddress.ip_network(text)
    except ValueError as error:
        return [
            checks.Error(
                f"DGX_ALLOWED_NETWORKS: {error}",
                hint="Write networks as 10.20.0.0/16 or fd00:1::/64, separated by commas.",
                id="dgxsite.E003",
            )
        ]
    return []


def register_all() -> None:
    checks.register(encryption_keys, checks.Tags.security)
    checks.register(cors_origins, checks.Tags.security)
    checks.register(allowed_networks, checks.Tags.security)
