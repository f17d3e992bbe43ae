from django.db import migrations, models
from django.db.models.functions import Length

CUT = 32
"""How long a source's name could be: beyond that two providers shared one, and each took the other's models away."""


def write_out(apps, schema_editor):
    for row in apps.get_model("providers", "Discovered").objects.filter(source__startswith="models:"):
        whole = f"models:{row.document.get('provider', '')}"
        if len(row.source) == CUT and whole.startswith(row.source) and whole != row.source:
            row.source = whole
            row.save()
    for row in apps.get_model("providers", "DiscoverySource").objects.filter(name__startswith="models:"):
        if len(row.name) == CUT:
            # The next look makes it again.
            row.delete()


def forget_long_ones(apps, schema_editor):
    """They are found anew."""
    for model, column in (("Discovered", "source"), ("DiscoverySource", "name")):
        rows = apps.get_model("providers", model).objects.annotate(letters=Length(column))
        rows.filter(letters__gt=CUT).delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0004_values_that_can_be_used")]

    operations = [
        migrations.AlterField(
            model_name="discovered",
            name="source",
            field=models.CharField(
                help_text="registry, consul, kubernetes, models", max_length=80, verbose_name="source"
            ),
        ),
        migrations.AlterField(
            model_name="discoverysource",
            name="name",
            field=models.CharField(max_length=80, unique=True, verbose_name="name"),
        ),
        migrations.RunPython(write_out, forget_long_ones),
    ]
