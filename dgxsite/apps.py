from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "dgxsite"

    def ready(self) -> None:
        # `celery`: without it a task that is sent from here goes to a default broker.
        from dgxsite import celery, checks, wiring  # noqa: F401 (needs every app loaded)

        wiring.connect()
        checks.register_all()
