from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"
    verbose_name = "Alerts"

    def ready(self) -> None:
        """Charts show alerts as bands; every process that draws them asks."""
        from alerts.annotations import of_alerts
        from metrics import annotations

        annotations.register(of_alerts)
