from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connections", "0002_server_keys")]

    operations = [
        migrations.AddField(
            model_name="keeper",
            name="trouble",
            field=models.CharField(blank=True, default="", editable=False, max_length=300),
        ),
    ]
