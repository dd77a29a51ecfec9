from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0007_log_parts")]

    operations = [
        migrations.AddField(
            model_name="jobscalars",
            name="read_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
