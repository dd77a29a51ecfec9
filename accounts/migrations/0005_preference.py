"""How each person wants to see the site."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_audit_chain")]

    operations = [
        migrations.CreateModel(
            name="Preference",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="preference",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                (
                    "density",
                    models.CharField(
                        choices=[("comfortable", "Comfortable"), ("compact", "Compact")],
                        default="comfortable",
                        max_length=20,
                    ),
                ),
                (
                    "default_range",
                    models.CharField(
                        choices=[
                            ("1h", "Hour"),
                            ("6h", "Six Hours"),
                            ("24h", "Day"),
                            ("7d", "Week"),
                            ("30d", "Month"),
                            ("12m", "Year"),
                        ],
                        default="24h",
                        max_length=4,
                    ),
                ),
                ("shortcuts", models.BooleanField(default=True)),
                ("this_machine", models.BooleanField(default=True)),
                ("this_machine_address", models.CharField(blank=True, max_length=300)),
            ],
        ),
    ]
