"""Jobs, their changes and logs, and the queues of machines; the database minds every step."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# Whatever writes a status, the column beside it says from where: the CHECK sees each step.
_TRIGGER = """
CREATE FUNCTION jobs_note_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.previous_status := '';
    ELSIF NEW.status IS DISTINCT FROM OLD.status THEN
        NEW.previous_status := OLD.status;
    ELSE
        NEW.previous_status := OLD.previous_status;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER jobs_note_step BEFORE INSERT OR UPDATE ON jobs_job
FOR EACH ROW EXECUTE FUNCTION jobs_note_step();
"""
_UNDO = "DROP TRIGGER jobs_note_step ON jobs_job; DROP FUNCTION jobs_note_step();"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("connections", "0001_initial"),
        ("projects", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MachineQueue",
            fields=[
                (
                    "connection",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="queue",
                        serialize=False,
                        to="connections.connection",
                    ),
                ),
                ("is_paused", models.BooleanField(default=False)),
                ("idle_percent", models.FloatField(default=5.0)),
                ("idle_bytes", models.PositiveBigIntegerField(default=524288000)),
                ("hold_seconds", models.FloatField(default=10.0)),
                ("per_person", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("seen_at", models.DateTimeField(editable=False, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("model_name", models.CharField(blank=True, max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[("command", "Command"), ("container", "Container")],
                        default="command",
                        max_length=10,
                    ),
                ),
                ("command", models.TextField(blank=True)),
                ("image", models.CharField(blank=True, max_length=500)),
                ("virtualenv", models.CharField(blank=True, max_length=1024)),
                ("conda_env", models.CharField(blank=True, max_length=200)),
                ("environment_encrypted", models.TextField(blank=True, editable=False)),
                ("secret_names", models.JSONField(blank=True, default=list)),
                ("config", models.JSONField(blank=True, default=dict)),
                ("gpus", models.JSONField(default=int)),
                ("wait_for_gpu", models.BooleanField(default=True)),
                ("priority", models.IntegerField(default=0)),
                ("max_minutes", models.PositiveIntegerField(blank=True, null=True)),
                ("max_retries", models.PositiveSmallIntegerField(default=0)),
                ("not_before", models.DateTimeField(blank=True, null=True)),
                ("attempt", models.PositiveSmallIntegerField(default=1, editable=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("queued", "Queued"),
                            ("starting", "Starting"),
                            ("running", "Running"),
                            ("stopping", "Stopping"),
                            ("unknown", "Unknown"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("stopped", "Stopped"),
                            ("lost", "Lost"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("previous_status", models.CharField(blank=True, editable=False, max_length=10)),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("exit_code", "Exit Code"),
                            ("signal", "Signal"),
                            ("time_limit", "Time Limit"),
                            ("start_refused", "Start Refused"),
                            ("stopped", "Stopped"),
                            ("host_rebooted", "Host Rebooted"),
                            ("supervisor_lost", "Supervisor Lost"),
                            ("never_started", "Never Started"),
                            ("record_gone", "Record Gone"),
                            ("unsupervised", "Unsupervised"),
                            ("unreachable", "Unreachable"),
                        ],
                        max_length=20,
                    ),
                ),
                ("detail", models.CharField(blank=True, max_length=500)),
                ("waiting_reason", models.CharField(blank=True, max_length=1000)),
                ("estimated_start_at", models.DateTimeField(editable=False, null=True)),
                ("stop_requested_at", models.DateTimeField(editable=False, null=True)),
                ("granted", models.JSONField(editable=False, null=True)),
                ("start_tries", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("pid", models.PositiveIntegerField(editable=False, null=True)),
                ("start_ticks", models.PositiveBigIntegerField(editable=False, null=True)),
                ("boot_id", models.CharField(blank=True, editable=False, max_length=64)),
                ("container_id", models.CharField(blank=True, editable=False, max_length=64)),
                ("exit_code", models.IntegerField(editable=False, null=True)),
                ("log_bytes", models.PositiveBigIntegerField(default=0, editable=False)),
                ("log_lines", models.PositiveBigIntegerField(default=0, editable=False)),
                ("log_complete", models.BooleanField(default=False, editable=False)),
                ("metrics", models.JSONField(default=dict, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("queued_at", models.DateTimeField(editable=False, null=True)),
                ("started_at", models.DateTimeField(editable=False, null=True)),
                ("completed_at", models.DateTimeField(editable=False, null=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
                (
                    "after",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="followers",
                        to="jobs.job",
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="jobs",
                        to="connections.connection",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="jobs",
                        to="projects.project",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "retry_of",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="retries",
                        to="jobs.job",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="JobChange",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("from_status", models.CharField(blank=True, max_length=10)),
                ("to_status", models.CharField(max_length=10)),
                ("who", models.CharField(max_length=150)),
                ("why", models.CharField(blank=True, max_length=500)),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="jobs.job",
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="LogChunk",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("offset", models.PositiveBigIntegerField()),
                ("length", models.PositiveIntegerField()),
                ("first_line", models.PositiveBigIntegerField()),
                ("lines", models.PositiveIntegerField()),
                ("times", models.JSONField(default=list)),
                ("data", models.BinaryField()),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="jobs.job",
                    ),
                ),
            ],
            options={
                "ordering": ("offset",),
            },
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["queued", "running", "starting", "stopping", "unknown"])
                ),
                fields=["connection"],
                name="jobs_to_look_after",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["project", "-created_at"], name="jobs_of_a_project"),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("previous_status", ""), ("status__in", ["pending", "queued"])),
                    models.Q(("previous_status", "pending"), ("status__in", ["queued", "stopped"])),
                    models.Q(
                        ("previous_status", "queued"), ("status__in", ["starting", "stopped"])
                    ),
                    models.Q(
                        ("previous_status", "starting"),
                        (
                            "status__in",
                            [
                                "completed",
                                "failed",
                                "lost",
                                "running",
                                "stopped",
                                "stopping",
                                "unknown",
                            ],
                        ),
                    ),
                    models.Q(
                        ("previous_status", "running"),
                        (
                            "status__in",
                            ["completed", "failed", "lost", "stopped", "stopping", "unknown"],
                        ),
                    ),
                    models.Q(
                        ("previous_status", "stopping"),
                        ("status__in", ["completed", "failed", "lost", "stopped", "unknown"]),
                    ),
                    models.Q(
                        ("previous_status", "unknown"),
                        (
                            "status__in",
                            [
                                "completed",
                                "failed",
                                "lost",
                                "running",
                                "starting",
                                "stopped",
                                "stopping",
                            ],
                        ),
                    ),
                    _connector="OR",
                ),
                name="job_step_is_legal",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("completed_at__isnull", False),
                        ("status__in", ["completed", "failed", "lost", "stopped"]),
                    ),
                    models.Q(
                        models.Q(
                            ("status__in", ["completed", "failed", "lost", "stopped"]),
                            _negated=True,
                        ),
                        ("completed_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="job_ends_when_it_is_final",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.UniqueConstraint(
                condition=models.Q(("attempt__gt", 1)),
                fields=("retry_of",),
                name="one_automatic_retry",
            ),
        ),
        migrations.AddConstraint(
            model_name="logchunk",
            constraint=models.UniqueConstraint(
                fields=("job", "offset"), name="one_chunk_per_offset"
            ),
        ),
        migrations.RunSQL(_TRIGGER, _UNDO),
    ]
