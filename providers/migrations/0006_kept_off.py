from django.db import migrations, models


def write_everything(apps, schema_editor):
    """A proposal of what had been live did not say what it replaced: all that it says takes effect when it is approved."""
    rows = (
        apps.get_model("providers", "Discovered").objects.exclude(provider=None).exclude(source__startswith="models:")
    )
    for row in rows.filter(draining_since=None, state__in=("proposed", "disabled")):
        row.difference = {name: [None, value] for name, value in row.document.items()}
        row.save()


class Migration(migrations.Migration):
    dependencies = [("providers", "0005_whole_names_of_sources")]

    operations = [
        migrations.AddField(
            model_name="discovered",
            name="kept_off",
            field=models.BooleanField(
                default=False,
                # Workers of the version before, which may still run, do not name the column.
                db_default=False,
                help_text="Switched off by somebody before it drained: it stays off when it comes back.",
            ),
        ),
        migrations.RunPython(write_everything, migrations.RunPython.noop),
    ]
