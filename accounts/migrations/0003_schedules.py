from django.db import migrations

NAME = "Forget old usage"
EVERY_S = 3600


def forwards(apps, schema_editor):
    # Rows are written with the historical models, which send no signals: beat reads the whole table when it starts.
    tasks = apps.get_model("django_celery_beat", "PeriodicTask")
    intervals = apps.get_model("django_celery_beat", "IntervalSchedule")
    if tasks.objects.filter(name=NAME).exists():
        return
    same = {"every": EVERY_S, "period": "seconds"}
    interval = intervals.objects.filter(**same).first() or intervals.objects.create(**same)
    tasks.objects.create(
        name=NAME,
        task="accounts.forget_old",
        interval=interval,
        description=f"Seeded: every {EVERY_S} s.",
        expire_seconds=EVERY_S,
    )


def backwards(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_names_in_words"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(forwards, backwards)]
