from django.apps import AppConfig
from django.db.models.signals import post_save


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from jobs import notify, services, standing
        from jobs.models import JobChange
        from projects import attached

        post_save.connect(notify.of_change, JobChange, dispatch_uid="jobs.notify")
        standing.connect()
        attached.on_count(services.counts)
        attached.before_delete(services.refuse_while_running)
