"""The app of people and teams."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and teams"

    def ready(self) -> None:
        from accounts import email_address, password_audit, second_factor, sessions, sign_in_audit

        email_address.connect()
        password_audit.connect()
        second_factor.connect()
        sessions.connect()
        sign_in_audit.connect()
