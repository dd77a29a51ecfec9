"""One time zone per person: that of the quiet hours moves to the person's preferences."""

from typing import Any

from django.db import migrations


def keep_chosen_zones(apps: Any, schema_editor: Any) -> None:
    """Whoever chose a zone for the quiet hours alone has it everywhere from now on."""
    quiet_hours = apps.get_model("notifications", "QuietHours")
    preference = apps.get_model("accounts", "Preference")
    for hours in quiet_hours.objects.exclude(time_zone="UTC"):
        row, is_new = preference.objects.get_or_create(
            user_id=hours.user_id, defaults={"time_zone": hours.time_zone}
        )
        if not is_new and row.time_zone == "UTC":
            preference.objects.filter(pk=row.pk).update(time_zone=hours.time_zone)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_preference"),
        ("notifications", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(keep_chosen_zones, migrations.RunPython.noop, elidable=True),
        migrations.RemoveField(model_name="quiethours", name="time_zone"),
    ]
