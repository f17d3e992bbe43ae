from django.db import migrations, models

from rows.migrating import StateAlone
from rows.validation import check_line

operations = [
    migrations.AlterField(
        model_name=model,
        name=name,
        field=models.CharField(max_length=length, validators=[check_line], **options),
    )
    for each, name, length, options in (
        ("budget", "name", 100, {"blank": True, "default": "", "verbose_name": "name"}),
        (
            "price",
            "model",
            200,
            {"help_text": "The upstream model's name; * and ? are wildcards.", "verbose_name": "model"},
        ),
        ("price", "provider", 100, {"blank": True, "default": "", "help_text": "Provider name; empty for any."}),
    )
    for model in (each, f"historical{each}")
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_searches")]
    operations = [StateAlone(operations)]
