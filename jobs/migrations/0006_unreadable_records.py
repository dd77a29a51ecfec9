from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0005_queue_paused_by")]

    operations = [
        migrations.AlterField(
            model_name="job",
            name="reason",
            field=models.CharField(
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
                    ("unreadable", "Unreadable"),
                ],
                max_length=20,
            ),
        ),
    ]
