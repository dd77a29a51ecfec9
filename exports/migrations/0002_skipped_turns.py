from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("exports", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="exportschedule",
            name="skipped_because",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
    ]
