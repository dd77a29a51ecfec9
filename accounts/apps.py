"""The app of people and teams."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and teams"

    def ready(self) -> None:
        from accounts import policy
        from accounts.auth import mfa
        from accounts.signin import audit as signin_audit
        from accounts.signin import email_address, password_audit
        from accounts.signin import sessions as signin_sessions

        policy.collect()
        email_address.connect()
        password_audit.connect()
        mfa.connect()
        signin_sessions.connect()
        signin_audit.connect()
