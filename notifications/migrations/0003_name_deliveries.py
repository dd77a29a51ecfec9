"""The plural of a delivery, for the admin; the database is not touched."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_one_time_zone")]

    operations = [
        migrations.AlterModelOptions(
            name="delivery",
            options={"ordering": ("-id",), "verbose_name_plural": "deliveries"},
        ),
    ]
