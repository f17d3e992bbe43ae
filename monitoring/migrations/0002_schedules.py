from django.conf import settings
from django.db import migrations

from monitoring.schedules import default_schedules, seed


def forwards(apps, schema_editor):
    # Rows are written with the historical models, which send no signals: beat reads the whole table when it starts.
    seed(
        apps.get_model("django_celery_beat", "PeriodicTask"),
        apps.get_model("django_celery_beat", "IntervalSchedule"),
        default_schedules(health_check_interval_s=settings.HEALTH_CHECK_INTERVAL_S),
    )


def backwards(apps, schema_editor):
    names = [schedule.name for schedule in default_schedules(health_check_interval_s=1)]
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name__in=names).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(forwards, backwards)]
