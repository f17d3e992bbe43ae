from django.conf import settings
from django.db import migrations

from monitoring.schedules import seed
from routing.intervals import DISCOVERY_NAME, discovery_schedule


def forwards(apps, schema_editor):
    seed(
        apps.get_model("django_celery_beat", "PeriodicTask"),
        apps.get_model("django_celery_beat", "IntervalSchedule"),
        [discovery_schedule(settings.PROVIDER_DISCOVERY_INTERVAL_S)],
    )


def backwards(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=DISCOVERY_NAME).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0002_configuration_files"),
        ("monitoring", "0002_schedules"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(forwards, backwards)]
