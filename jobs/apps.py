from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from jobs import services
        from projects import attached

        attached.on_count(services.counts)
        attached.before_delete(services.refuse_while_running)
