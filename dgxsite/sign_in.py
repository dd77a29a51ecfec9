"""How people prove who they are, read from the environment in the form that allauth wants."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from core.env import env_int, env_str

# Part of the address that the provider sends people back to: /accounts/oidc/sso/login/callback/.
PROVIDER_ID = "sso"


def provider_settings() -> dict[str, Any]:
    """The one OpenID Connect provider, or none; half of it named stops the start."""
    issuer = env_str("DGX_OIDC_ISSUER")
    client_id = env_str("DGX_OIDC_CLIENT_ID")
    secret = env_str("DGX_OIDC_CLIENT_SECRET")
    if not (issuer or client_id or secret):
        return {}
    if not (issuer and client_id and secret):
        raise ImproperlyConfigured(
            "Set DGX_OIDC_ISSUER, DGX_OIDC_CLIENT_ID and DGX_OIDC_CLIENT_SECRET together."
        )
    return provider(issuer, client_id, secret, env_str("DGX_OIDC_NAME", "single sign-on"))


def provider(issuer: str, client_id: str, secret: str, name: str) -> dict[str, Any]:
    """One provider as allauth's `SOCIALACCOUNT_PROVIDERS`; discovery finds its addresses."""
    app = {
        "provider_id": PROVIDER_ID,
        "name": name,
        "client_id": client_id,
        "secret": secret,
        "settings": {"server_url": issuer.rstrip("/")},
    }
    return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}


def session_seconds() -> tuple[int, int]:
    """After how long unused, and how long in all, a login ends."""
    idle, whole = env_int("DGX_SESSION_IDLE_HOURS", 72), env_int("DGX_SESSION_MAX_HOURS", 720)
    if not 0 < idle <= whole:
        raise ImproperlyConfigured(
            "DGX_SESSION_IDLE_HOURS is at least 1 and at most DGX_SESSION_MAX_HOURS."
        )
    return idle * 3600, whole * 3600
