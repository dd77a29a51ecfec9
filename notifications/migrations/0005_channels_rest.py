"""A channel that fails again and again rests."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0004_event_data")]

    operations = [
        migrations.AddField(
            model_name="channel",
            name="failures",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="channel",
            name="rests_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
