from django.db import migrations, models


class Migration(migrations.Migration):
    """The new index before the old one goes: there is always one. No row changes."""

    dependencies = [("accounts", "0003_schedules")]

    operations = [
        migrations.AddIndex(
            model_name="usagerecord",
            index=models.Index(
                condition=models.Q(("team_id__isnull", False)),
                fields=["team_id", "created_at"],
                name="accounts_usage_of_teams",
            ),
        ),
        migrations.RemoveIndex(model_name="usagerecord", name="accounts_usage_by_team"),
    ]
