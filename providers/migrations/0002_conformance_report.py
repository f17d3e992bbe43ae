import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("providers", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="ConformanceReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("model", models.CharField(blank=True, default="", max_length=200, verbose_name="model")),
                ("started_at", models.DateTimeField(db_index=True)),
                ("duration_s", models.FloatField()),
                ("passed", models.BooleanField()),
                ("results", models.JSONField(default=list)),
                ("tokens", models.PositiveIntegerField(default=0)),
                ("cost_nano_usd", models.BigIntegerField(blank=True, null=True)),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="conformance_reports",
                        to="providers.provider",
                    ),
                ),
            ],
            options={
                "verbose_name": "conformance report",
                "verbose_name_plural": "conformance reports",
                "ordering": ["-started_at"],
            },
        ),
    ]
