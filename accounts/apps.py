"""The app of people and teams."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and teams"

    def ready(self) -> None:
        """Every app is loaded: what their routes ask for can be collected."""
        from accounts import policy

        policy.collect()
